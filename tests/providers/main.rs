//! Sign-in with identity providers: a certified one, whose forms are filled as a browser fills them, Amazon's as an
//! emulator has it, and one of the tests' own for everything that an honest one never does.
//!
//! The programs come from `scripts/install-test-tools.sh`; one that is missing fails its test.

mod cognito;
mod lies;
mod links;
mod password;
mod scene;
mod sign_in;
mod way_back;
