//! Who may do what: principals, roles, scopes, and the one function that decides.
//!
//! Nothing here reads a database, a clock or a request. The caller gathers the [`Facts`] and asks
//! [`decide`]; a token that was cut down to some scopes is asked with [`scope::evaluate`] as well, and
//! both have to agree. Rights only ever come from roles and from public visibility: no role subtracts.

pub mod action;
pub mod decision;
pub mod principal;
pub mod role;
pub mod scope;

pub use action::{Action, ActionSet, InstanceAction, ManagementAction, Operation, UnknownAction};
pub use decision::{Decision, Facts, decide};
pub use principal::{Principal, UserPrincipal};
pub use role::{Role, UnknownRole, UnknownVisibility, Visibility};
pub use scope::{Scope, ScopeGrant, ScopeKind, ScopeList, ScopeProblem, ScopeVerdict};
