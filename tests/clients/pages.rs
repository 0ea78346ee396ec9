//! The pages about rights and machines, as a reader would type them.

use testkit::{Options, Server};

use crate::readme::{commands, type_in};

#[test]
fn the_page_about_rights_works_line_by_line() {
    let server = Server::start(Options::new(env!("CARGO_BIN_EXE_larder")));
    let output = type_in(&server, &commands("docs/rights.md", "rights", &server.host())).success();
    // Of the two roles the page takes the higher one away before it asks.
    output.says("/invitations/").says("\"allowed\":false").says("\"role_needed\":\"writer\"");
}

#[test]
fn the_page_about_machines_works_line_by_line() {
    let server = Server::start(Options::new(env!("CARGO_BIN_EXE_larder")));
    let output = type_in(&server, &commands("docs/tokens-and-machines.md", "machines", &server.host()));
    output.success().says("demo+ci").says("Login Succeeded").says("1296269").says("\"disabled\":true");
}
