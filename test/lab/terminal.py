"""Runs a program in a terminal of its own and types into it.

argv[1]: JSON {"argv": [...], "rows": 24, "columns": 80, "steps": [["expect", text], ["send", text],
["size", rows, columns], ["sleep", seconds]]}. Prints JSON {"output", "status"}.
"""
import fcntl, json, os, pty, select, signal, struct, sys, termios, time

order = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(order["argv"][0], order["argv"])


def size(rows, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


size(order.get("rows", 24), order.get("columns", 80))
output, status, end = b"", None, time.time() + 30


def read(seconds):
    global output
    ready, _, _ = select.select([terminal], [], [], seconds)
    if ready:
        try:
            output += os.read(terminal, 65536)
        except OSError:
            time.sleep(0.02)


for step, *words in order["steps"]:
    if step == "expect":
        while words[0].encode() not in output and time.time() < end:
            read(0.1)
    elif step == "send":
        os.write(terminal, words[0].encode())
    elif step == "size":
        size(*words)
    elif step == "sleep":
        until = time.time() + words[0]
        while time.time() < until:
            read(0.05)
while status is None and time.time() < end:
    read(0.05)
    done, state = os.waitpid(pid, os.WNOHANG)
    if done:
        status = os.waitstatus_to_exitcode(state)
read(0.05)
if status is None:
    os.kill(pid, signal.SIGKILL)
print(json.dumps({"output": output.decode("utf-8", "replace"), "status": status}))
