"""What the libraries that installers use make of names, versions, file names and metadata.

Reads the questions from the file that the first argument names and writes the answers to that of the second.
"""

import importlib.metadata
import json
import sys

from pip._vendor.packaging import metadata, requirements, utils, version


def attempt(question, *arguments):
    """The answer, or nothing where the library refuses."""
    try:
        return question(*arguments)
    except ValueError:
        return None


def normal_name(text):
    return attempt(lambda: utils.canonicalize_name(text, validate=True))


def read_version(text):
    found = attempt(version.Version, text)
    if found is None:
        return None
    return {
        "text": str(found),
        "key": utils.canonicalize_version(found),
        "prerelease": found.is_prerelease,
    }


def wheel(text):
    found = attempt(utils.parse_wheel_filename, text)
    if found is None:
        return None
    name, number, build, tags = found
    return {
        "project": name,
        "version": str(number),
        "build": list(build),
        "tags": sorted(str(tag) for tag in tags),
    }


def sdist(text):
    found = attempt(utils.parse_sdist_filename, text)
    if found is None:
        return None
    return {"project": found[0], "version": str(found[1])}


def is_requirement(text):
    return attempt(requirements.Requirement, text) is not None


class Installed(importlib.metadata.Distribution):
    """A distribution of which there is only the metadata."""

    def __init__(self, text):
        self.text = text

    def read_text(self, filename):
        return self.text if filename == "METADATA" else None

    def locate_file(self, path):
        raise NotImplementedError


def fields(text):
    """The fields as pip reads those of an installed distribution, and the description as packaging does."""
    message = Installed(text).metadata
    raw, unparsed = metadata.parse_email(text.encode())
    return {
        "fields": [[name, message_value] for name, message_value in message.items()],
        "description": raw.get("description"),
        "name": raw.get("name"),
        "version": raw.get("version"),
        "ambiguous": sorted(unparsed),
    }


with open(sys.argv[1], encoding="utf-8") as file:
    questions = json.load(file)

parsed = [version.Version(text) for text in questions["ordered"]]
ranks = {value: rank for rank, value in enumerate(sorted(set(parsed)))}
answers = {
    "names": [normal_name(text) for text in questions["names"]],
    "versions": [read_version(text) for text in questions["versions"]],
    "ranks": [ranks[value] for value in parsed],
    "wheels": [wheel(text) for text in questions["wheels"]],
    "sdists": [sdist(text) for text in questions["sdists"]],
    "requirements": [is_requirement(text) for text in questions["requirements"]],
    "metadata": [fields(text) for text in questions["metadata"]],
}
with open(sys.argv[2], "w", encoding="utf-8") as file:
    json.dump(answers, file)
