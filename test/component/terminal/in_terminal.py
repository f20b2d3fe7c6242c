"""Runs a program in a pseudo terminal of no size (0 by 0), types into it, and tells what became of it.

Argument, or standard input where the argument is "-": JSON {"command": [...], "dialogue": [[text to wait for, text to type], ...], "seconds": n}.
Answer: JSON {"output", "exit", "echo", "canonical"}; the last two are the terminal's flags after the end.
"""

import json
import os
import select
import subprocess
import sys
import termios
import time

task = json.loads(sys.stdin.read() if sys.argv[1] == "-" else sys.argv[1])
master, slave = os.openpty()
environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "CI", "NO_COLOR", "FORCE_COLOR")}
environment["TERM"] = "xterm"


def take_terminal():
    os.setsid()
    import fcntl

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


process = subprocess.Popen(
    task["command"], stdin=slave, stdout=slave, stderr=slave, env=environment, preexec_fn=take_terminal
)
output = b""
seen = 0
dialogue = task["dialogue"]
end = time.monotonic() + task["seconds"]
while time.monotonic() < end:
    ready, _, _ = select.select([master], [], [], 0.05)
    if ready:
        output += os.read(master, 65536)
    if dialogue and dialogue[0][0].encode() in output[seen:]:
        seen = len(output)
        # A person needs a moment too; what is typed before a question is drawn is thrown away.
        time.sleep(0.15)
        os.write(master, dialogue.pop(0)[1].encode())
    if not ready and process.poll() is not None:
        break
else:
    process.kill()
exit_code = process.wait()
flags = termios.tcgetattr(slave)[3]
json.dump(
    {
        "output": output.decode("utf-8", "replace"),
        "exit": exit_code,
        "echo": bool(flags & termios.ECHO),
        "canonical": bool(flags & termios.ICANON),
    },
    sys.stdout,
)
