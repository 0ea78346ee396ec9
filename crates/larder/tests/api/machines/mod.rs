//! Machines: service accounts with their tokens, and jobs that come with the token of their platform.

mod accounts;
mod attacks;
mod bindings;
mod canaries;
mod escalation;
mod exchange;
mod groups;
mod invitations;
mod jobs;
mod publishing;
mod questions;
mod scene;
mod scopes;
mod tokens;
