# Copyright: the Capstan authors
# Apache License 2.0 (see LICENSE)
"""What the modules share: calling capstan, and turning its JSON events into results."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import json

from ansible.module_utils.common.text.converters import to_text

# The exit code of a command that refused, and changed nothing.
REFUSED = 2

# For a program: no questions, all secrets as one JSON object on standard input, events on standard output.
UNATTENDED = ["--unattended", "--secrets-stdin", "--output", "json"]

# Where the bundle lies when the path of a non-login shell does not name it.
FOLDERS = ["/usr/local/bin", "/opt/capstan/bin"]


def events_of(text):
    """The JSON objects in what capstan wrote, one a line; the last line of a run that was killed may be half a one."""
    events = []
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            events.append(event)
    return events


def steps_of(events):
    """What each step came to, in the order in which they ended."""
    return [
        dict((name, event.get(name)) for name in ("id", "title", "seconds", "changed"))
        for event in events
        if event.get("type") == "step-finished"
    ]


def planned(events):
    """The titles of the steps that a run is going to take."""
    plans = [event["steps"] for event in events if event.get("type") == "plan"]
    return [step["title"] for step in plans[-1]] if plans else []


def diff_of(titles):
    """Steps as Ansible shows a difference: what is there when they are done."""
    return dict(before="", after="".join("%s\n" % title for title in titles))


def sentences(error):
    """An error of capstan for a person: what is wrong, every single refusal, and what to do."""
    lines = [error["message"]]
    lines += ["%s: %s" % (one["code"], one["message"]) for one in error.get("failures", [])]
    lines += error.get("causes", [])
    if error.get("next"):
        lines.append(error["next"])
    return "\n".join(lines)


def unsaid(rc, stderr):
    """The error of a run that did not tell one: it was killed, or is no capstan."""
    message = "capstan ended with %s and told no reason. %s" % (rc, stderr.strip())
    return dict(type="error", code="no-result", message=message.strip(), exit=rc)


class Run:
    """A run of capstan that has ended."""

    def __init__(self, rc, stdout, stderr):
        self.rc = rc
        self.stdout = stdout
        self.events = events_of(stdout)
        self.last = self.events[-1] if self.events else {}
        self.error = None
        if self.last.get("type") == "error":
            self.error = self.last
        elif rc not in (0, 1):
            self.error = unsaid(rc, stderr)
        self.steps = steps_of(self.events)

    def ended_well(self):
        """Whether it did what it was asked to do, as its last event tells."""
        return self.error is None and self.last.get("type") == "result"

    def changed(self):
        return any(step["changed"] for step in self.steps)


class Capstan:
    """The capstan of the host that a module runs on."""

    def __init__(self, module, missing=None):
        """Where there is no capstan, the module ends with the result that is given for that, or fails."""
        self.module = module
        self.path = module.get_bin_path("capstan", opt_dirs=FOLDERS)
        if self.path is None and missing is not None:
            module.exit_json(**missing)
        if self.path is None:
            module.fail_json(
                msg="There is no capstan on this host. The role capstan.cluster.capstan_host puts it there.",
                code="capstan-missing",
            )

    def run(self, words, data=""):
        """Runs a command. What is secret goes through its standard input, as data, and nowhere else."""
        deadlines = self.module.params.get("deadlines") or {}
        for name in sorted(deadlines):
            words = words + ["--deadline", "%s=%s" % (name, deadlines[name])]
        rc, stdout, stderr = self.module.run_command([self.path] + words, data=data, binary_data=True)
        return Run(rc, to_text(stdout), to_text(stderr))

    def here(self):
        """What Capstan's journals say is on this host; None where there is nothing."""
        run = self.run(["status", "--brief", "--output", "json"])
        if run.error and run.error["code"] == "not-installed":
            return None
        if run.error:
            self.fail(run)
        return run.last

    def fail(self, run, **more):
        """Ends the module with what capstan says is wrong."""
        error = run.error or unsaid(run.rc, "")
        self.module.fail_json(
            msg=sentences(error),
            code=error["code"],
            failures=error.get("failures", []),
            steps=run.steps,
            changed=run.rc != REFUSED and run.changed(),
            rc=run.rc,
            **more
        )


class Installation:
    """A command that installs something on the host: begun, gone on with, or rehearsed."""

    def __init__(self, module, command, is_there):
        self.module = module
        # A rehearsal on a host that has nothing yet cannot look any further.
        untold = dict(changed=True, msg="There is no capstan on this host yet; it was not looked at.")
        self.capstan = Capstan(module, missing=untold if module.check_mode else None)
        self.command = command
        # Whether a host whose journals tell this needs nothing more.
        self.is_there = is_there

    def run(self, words, secrets):
        """Ends the module with what the command came to, or at once where there is nothing to do."""
        here = self.capstan.here()
        unfinished = (here or {}).get("unfinished")
        if unfinished and unfinished["flow"] == self.command:
            self.go_on(unfinished, words, secrets)
        elif unfinished and unfinished["flow"] in ("server-install", "replica-install"):
            self.refuse_other(unfinished)
        elif here and self.is_there(here):
            self.module.exit_json(changed=False, msg="There is nothing to do.", steps=[], facts=[], next=[])
        else:
            self.take(words, secrets)

    def go_on(self, unfinished, words, secrets):
        if not unfinished["removing"]:
            self.take(["--resume"], secrets)
            return
        # What began to be taken back cannot be resumed: back to the beginning first.
        if self.module.check_mode:
            self.module.exit_json(changed=True, msg=unfinished["story"], diff=diff_of([]))
        undone = self.capstan.run([self.command, "--undo"] + UNATTENDED, data=json.dumps(given(secrets)))
        if not undone.ended_well():
            self.capstan.fail(undone)
        self.take(words, secrets)

    def refuse_other(self, unfinished):
        self.module.fail_json(
            msg="A run of capstan %s on this host did not come to its end. %s" % (unfinished["flow"], unfinished["story"]),
            code="unfinished-run",
        )

    def take(self, words, secrets):
        rehearsal = ["--dry-run"] if self.module.check_mode else []
        run = self.capstan.run(
            [self.command] + words + rehearsal + UNATTENDED,
            data=json.dumps(given(secrets)),
        )
        if not run.ended_well():
            self.capstan.fail(run)
        titles = planned(run.events) if self.module.check_mode else changed_titles(run.steps)
        self.module.exit_json(
            changed=bool(titles),
            msg=run.last.get("title"),
            steps=run.steps,
            facts=run.last.get("facts", []),
            next=run.last.get("next", []),
            diff=diff_of(titles),
        )


def given(values):
    """Of these values those that are given."""
    return dict((name, value) for name, value in values.items() if value is not None)


def changed_titles(steps):
    """The titles of the steps that changed something."""
    return [step["title"] for step in steps if step["changed"]]


def options_of(params, names):
    """Parameters as options of the command line; a boolean that is true is an option alone."""
    words = []
    for name in names:
        value = params.get(name)
        if value is None or value is False:
            continue
        words.append("--" + name.replace("_", "-"))
        if value is not True:
            words.append(str(value))
    return words
