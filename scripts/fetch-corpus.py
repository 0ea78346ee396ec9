#!/usr/bin/env python3
"""Fetches the real packages that the tests use: fetch-corpus.py LIST DIRECTORY

Run it with the interpreter of an environment that holds pip: pip finds the files, with whatever index, proxy and
certificates it is configured with. `pip download` itself will not do: for a source distribution it runs the
package's own build code, and for a wheel of another platform it wants that platform described.

LIST has a line for every file: requirement, file name, SHA-256. A file that is there already is left alone; one
whose content is not what LIST says ends the run with status 1.
"""

import hashlib
import pathlib
import sys

from pip._internal.commands.download import DownloadCommand
from pip._internal.index.collector import LinkCollector, parse_links
from pip._internal.models.link import Link


class Corpus(DownloadCommand):
    """`pip download` as far as options and network go."""

    def run(self, options, arguments):
        listing, directory = map(pathlib.Path, arguments)
        session = self.get_default_session(options)
        collector = LinkCollector.create(session, options=options)
        pages = {}
        for line in listing.read_text().splitlines():
            if not line or line.startswith("#"):
                continue
            requirement, name, sha256 = line.split()
            place = directory / name
            if place.exists() and digest(place.read_bytes()) == sha256:
                continue
            project = requirement.partition("==")[0]
            if project not in pages:
                pages[project] = links(collector, project)
            if name not in pages[project]:
                sys.exit(f"the index does not list {name}: see {listing}")
            answer = session.get(pages[project][name], headers={"Accept-Encoding": "identity"})
            answer.raise_for_status()
            if digest(answer.content) != sha256:
                sys.exit(f"{name} has the SHA-256 {digest(answer.content)} and not {sha256}: see {listing}")
            temporary = place.with_suffix(".part")
            temporary.write_bytes(answer.content)
            temporary.rename(place)
        return 0


def links(collector, project):
    """The files that the configured indexes list for a project: name to address."""
    found = {}
    for location in collector.search_scope.get_index_urls_locations(project):
        page = collector.fetch_response(Link(location))
        for link in parse_links(page) if page else ():
            found.setdefault(link.filename, link.url_without_fragment)
    return found


def digest(content):
    return hashlib.sha256(content).hexdigest()


if len(sys.argv) != 3:
    sys.exit(__doc__)
sys.exit(Corpus("download", "fetches the real packages that the tests use").main(sys.argv[1:]))
