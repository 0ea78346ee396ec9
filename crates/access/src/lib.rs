//! Who may do what: principals, roles, scopes, and the one function that decides.
//!
//! Nothing here reads a database, a clock or a request. The caller gathers the [`Facts`] and asks
//! [`decide`]; credentials that were cut down to something are asked with [`Limit::verdict`] as well, and
//! both have to agree. Rights only ever come from roles and from public visibility: no role subtracts.

pub mod action;
pub mod basis;
pub mod decision;
pub mod limit;
pub mod operation;
pub mod principal;
pub mod role;
pub mod scope;

pub use action::{Action, ActionSet, InstanceAction, ManagementAction, Operation, UnknownAction};
pub use basis::{Anchor, Basis};
pub use decision::{Decision, Facts, decide};
pub use limit::{InvalidPattern, Limit, RepositoryPattern, TokenScope};
pub use operation::UnknownOperation;
pub use principal::{AccountKind, Principal, UnknownAccountKind, UserPrincipal};
pub use role::{Role, UnknownRole, UnknownVisibility, Visibility};
pub use scope::{Scope, ScopeGrant, ScopeKind, ScopeList, ScopeProblem, ScopeVerdict};
