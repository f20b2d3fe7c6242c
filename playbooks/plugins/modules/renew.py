#!/usr/bin/python
# Copyright: the Capstan authors
# Apache License 2.0 (see LICENSE)

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: renew
short_description: Renew certificates now
version_added: 1.0.0
description:
  - Runs C(capstan renew), which renews what is due, or whose last renewal failed, and puts it in place.
  - What all servers of a cluster share is renewed on the renewal master; the others take it over. So run it there first.
  - In check mode it tells which certificates have less than 28 days left.
options:
  certificate:
    description: One certificate, by its nickname. All unless given.
    type: str
  force:
    description: Whether certificates are renewed that are not due.
    type: bool
    default: false
extends_documentation_fragment:
  - capstan.cluster.common
author:
  - The Capstan authors (@capstan)
"""

EXAMPLES = r"""
- name: Renew what is due
  capstan.cluster.renew:
"""

RETURN = r"""
facts:
  description: What was renewed.
  returned: success
  type: list
  elements: dict
"""

import datetime

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.capstan.cluster.plugins.module_utils.capstan import (
    Capstan,
    changed_titles,
    diff_of,
)

# Days before its end at which a certificate is due (docs/renewal.md).
DUE = 28


def main():
    module = AnsibleModule(
        argument_spec=dict(
            certificate=dict(type="str"),
            force=dict(type="bool", default=False),
            deadlines=dict(type="dict", default={}),
        ),
        supports_check_mode=True,
    )
    params = module.params
    capstan = Capstan(module, missing=dict(changed=False) if module.check_mode else None)
    if module.check_mode:
        names = due(capstan.run(["status", "--output", "json"]), capstan, params)
        module.exit_json(changed=bool(names), msg="To be renewed: %s" % (", ".join(names) or "none"), diff=diff_of(names))
    words = ["renew", "--output", "json"] + (["--force"] if params["force"] else [])
    words.append(params["certificate"] or "--all")
    run = capstan.run(words)
    if not run.ended_well():
        capstan.fail(run)
    titles = changed_titles(run.steps)
    module.exit_json(
        changed=bool(titles),
        msg=run.last.get("title"),
        steps=run.steps,
        facts=run.last.get("facts", []),
        next=run.last.get("next", []),
        diff=diff_of(titles),
    )


def due(run, capstan, params):
    """The certificates that would be renewed."""
    if run.error:
        capstan.fail(run)
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=DUE)
    limit = end.strftime("%Y-%m-%dT%H:%M:%S")
    certificates = [one for one in run.last["findings"] if "expires" in one]
    wanted = [one for one in certificates if params["certificate"] in (None, one["name"])]
    return [one["name"] for one in wanted if params["force"] or one["expires"] < limit]


if __name__ == "__main__":
    main()
