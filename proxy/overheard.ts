/** What is learned of a flow that passes whatever it says: for its event, nothing hangs on it. Pure. */
import type { Connection } from "./turn.ts"

const serverFirst = { kind: "opaque", serverFirst: true } as const
/** RFC 4253 §4.2. */
const sshGreeting = "SSH-"

/** With the client's next bytes read, until they say what they are. */
export function peeked(connection: Connection, bytes: Buffer): Connection {
  if (connection.classified !== null) return connection
  return { ...connection, classified: connection.reader.push(bytes) }
}

/** With the first words of an upstream, where the client has not spoken yet. */
export function overheard(connection: Connection, bytes: Buffer): Connection {
  if (connection.reader.bytes.length > 0) return connection
  const ssh = bytes.toString("latin1", 0, sshGreeting.length) === sshGreeting
  return {
    ...connection,
    classified: { opening: ssh ? { kind: "ssh" } : serverFirst, head: null },
  }
}
