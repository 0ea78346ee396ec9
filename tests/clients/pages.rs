//! The page about rights, as a reader would type it.

use testkit::page::Page;
use testkit::{Options, Server};

use crate::readme::type_in;

#[test]
fn the_page_about_rights_works_line_by_line() {
    let server = Server::start(Options::new(env!("CARGO_BIN_EXE_larder")));
    let page = Page::read("docs/rights.md").with("localhost:5000", &server.host());
    let output = type_in(&server, &page.commands(&["rights"])).success();
    // Of the two roles the page takes the higher one away before it asks.
    output.says("/invitations/").says("\"allowed\":false").says("\"role_needed\":\"writer\"");

    // When nobody gets in: the server goes on meanwhile.
    let output = type_in(&server, &page.commands(&["rights-server"])).success();
    output
        .says("the password of admin is changed")
        .says("user admin has no second factor")
        .says("user admin is enabled")
        .says("user admin is admin of organization demo");
    assert_eq!(server.api().get("/v2/").status, 401, "the password that was lost is good no more");
}
