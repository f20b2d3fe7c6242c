# Copyright: the Capstan authors
# Apache License 2.0 (see LICENSE)
"""Modules whose parameters or results are secret: over the connection's standard input, or not at all."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

ADVICE = (
    "The secrets of this task can only be sent over the standard input of the connection, and that is not possible here: "
    "no file with them is written on the host. Unset ANSIBLE_KEEP_REMOTE_FILES, do not become by su, and use a "
    "connection with pipelining, as ssh is."
)


class OverStdin(ActionBase):
    """Runs the module of the same name. Its parameters are part of what the host's Python reads from standard input."""

    # Whether the result itself is secret: it is then shown by no callback, nor by the connection when it is verbose.
    secret_result = False

    def run(self, tmp=None, task_vars=None):
        super(OverStdin, self).run(tmp, task_vars)
        # Without pipelining Ansible copies the module with its parameters to a file on the host.
        if self._connection.has_pipelining:
            self._turn_on()
        if not self._is_pipelining_enabled("new", False):
            raise AnsibleActionFail(ADVICE)
        if self.secret_result:
            # The connection, which shows what came back when it is verbose, goes by a context of its own.
            for context in (self._play_context, self._connection._play_context):
                context.no_log = True
        result = self._execute_module(task_vars=task_vars)
        # What failed has no secret, and a reason that somebody must be able to read.
        if self.secret_result and not result.get("failed"):
            result["_ansible_no_log"] = True
        return result

    def _turn_on(self):
        self._play_context.pipelining = True
        try:
            self._connection.set_option("pipelining", True)
        except (AttributeError, KeyError):
            # A connection without that option goes by the play's.
            pass
