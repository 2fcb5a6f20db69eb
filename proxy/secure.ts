/**
 * TLS on both sides of a connection that is opened: towards the upstream, verified, and towards the
 * client, with a leaf of our own. ✋ Wraps sockets that exist already; opens none.
 *
 * Verification is OpenSSL's and Node's own: chain, time and usage by the roots given, the name by
 * tls.checkServerIdentity. A session is resumed only for the very name it was verified for.
 */
import { connect, TLSSocket } from "node:tls"
import type { SecureContext } from "node:tls"
import type { Hostname } from "../net/hostname.ts"
import { Inlet } from "./inlet.ts"
import type { Protocol } from "./protocol.ts"
import type { Side } from "./splice.ts"

/** Time for one handshake, in milliseconds. Envoy: transport_socket_connect_timeout 10 s. */
export const handshakeTimeoutMs = 10_000

/** How upstreams are verified. */
export interface Trust {
  /** With the roots; made once, since it takes 20 ms with all of a system's. */
  readonly context: () => SecureContext
  /** A session of an earlier connection to this name and port that was verified. */
  readonly session: (host: Hostname, port: number) => Buffer | undefined
  readonly keepSession: (host: Hostname, port: number, session: Buffer) => void
}

export type Secured =
  | {
      readonly side: Side
      readonly protocol: Protocol
      /** Whether ALPN named it; else HTTP/1.1 is spoken for want of another word. */
      readonly agreed: boolean
      /** What the upstream has said since; to be asked once, when its inlet is taken over. */
      readonly early: () => Buffer
    }
  | {
      readonly failed: "upstream-failed" | "certificate-invalid"
      readonly detail: string
    }

/**
 * TLS to an upstream that was dialled; the socket beneath is its own from now on. `done` is called
 * once, never at once; where it fails, the socket is gone.
 *
 * @param protocols offered by ALPN; none: the extension is left out, and HTTP/1.1 is meant
 */
export function secureUpstream(
  upstream: Side,
  host: Hostname,
  protocols: readonly Protocol[],
  trust: Trust,
  done: (secured: Secured) => void,
): TLSSocket {
  const port = upstream.socket.remotePort ?? 0
  const session = trust.session(host, port)
  const socket = connect({
    socket: upstream.socket,
    servername: host,
    secureContext: trust.context(),
    // Why: what was found is told to the client in words, see below; nothing is sent before.
    rejectUnauthorized: false,
    ...(protocols.length === 0 ? {} : { ALPNProtocols: [...protocols] }),
    ...(session === undefined ? {} : { session }),
  })
  const inlet = new Inlet(true)
  inlet.adopt(socket)
  const side: Side = { socket, inlet, base: upstream.base }
  const said: Buffer[] = []
  inlet.take = (bytes) => {
    said.push(Buffer.from(bytes))
    inlet.pause()
  }
  const finish = settled(socket, done)
  socket.once("error", (error: NodeJS.ErrnoException) => {
    finish({ failed: "upstream-failed", detail: handshakeFailed(error, host) })
  })
  socket.once("close", () => {
    finish({ failed: "upstream-failed", detail: `${host} closed the connection during TLS.` })
  })
  socket.once("secureConnect", () => {
    if (!socket.authorized) {
      const detail = certificateFault(String(socket.authorizationError), host)
      finish({ failed: "certificate-invalid", detail })
      return
    }
    socket.on("session", (fresh: Buffer) => trust.keepSession(host, port, fresh))
    const agreed = socket.alpnProtocol === "h2" || socket.alpnProtocol === "http/1.1"
    const protocol = socket.alpnProtocol === "h2" ? "h2" : "http/1.1"
    finish({ side, protocol, agreed, early: () => Buffer.concat(said.splice(0)) })
  })
  return socket
}

/** Calls `done` once: with the first outcome, or after the time for a handshake. */
function settled(socket: TLSSocket, done: (secured: Secured) => void): (outcome: Secured) => void {
  let over = false
  const finish = (outcome: Secured): void => {
    if (over) return
    over = true
    clearTimeout(timer)
    if ("failed" in outcome) {
      socket.on("error", () => {})
      socket.destroy()
    }
    done(outcome)
  }
  const timer = setTimeout(() => {
    finish({ failed: "upstream-failed", detail: "TLS took too long." })
  }, handshakeTimeoutMs)
  return finish
}

export type Accepted =
  | { readonly side: Side }
  | {
      /** What the client said of our leaf; null: it failed otherwise. */
      readonly refusal: string | null
      readonly detail: string
    }

/**
 * TLS to the client, whose hello was read already; the socket beneath is its own from now on. `done`
 * is called once, never at once; where it fails, the socket is gone or about to go.
 *
 * @param protocol named by ALPN; null: the extension is left out
 */
export function secureClient(
  client: Side,
  hello: Buffer,
  context: SecureContext,
  protocol: Protocol | null,
  done: (accepted: Accepted) => void,
): TLSSocket {
  client.socket.unshift(hello)
  const socket = new TLSSocket(client.socket, {
    isServer: true,
    secureContext: context,
    ...(protocol === null ? {} : { ALPNProtocols: [protocol] }),
  })
  const inlet = new Inlet(true)
  inlet.adopt(socket)
  const side: Side = { socket, inlet, base: client.base }
  let over = false
  const finish = (accepted: Accepted): void => {
    if (over) return
    over = true
    clearTimeout(timer)
    if (!("side" in accepted)) socket.destroy()
    done(accepted)
  }
  const timer = setTimeout(() => {
    finish({ refusal: null, detail: "TLS with the client took too long." })
  }, handshakeTimeoutMs)
  // Why not "error": Node keeps what fails in a server's handshake for tls.Server, under this name;
  // what fails later is not told otherwise either.
  socket.on("_tlsError", (error: NodeJS.ErrnoException) => {
    finish({
      refusal: refusalIn(error),
      detail: `TLS with the client failed: ${error.code ?? ""}.`,
    })
    socket.destroy()
  })
  socket.on("error", () => {})
  socket.once("close", () => {
    finish({ refusal: null, detail: "The client closed the connection during TLS." })
  })
  socket.once("secure", () => finish({ side }))
  return socket
}

/** Alerts by which a client says that it does not take our leaf (RFC 8446 §6.2), as OpenSSL names them. */
const refusals: Readonly<Record<string, string>> = {
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: "bad_certificate",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: "certificate_unknown",
  ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE: "unsupported_certificate",
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: "unknown_ca",
}

function refusalIn({ code }: NodeJS.ErrnoException): string | null {
  return refusals[code ?? ""] ?? null
}

/** Words for what OpenSSL or Node found wrong with a certificate. */
const faults: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "has expired",
  CERT_NOT_YET_VALID: "is not valid yet",
  CERT_REVOKED: "was revoked",
  DEPTH_ZERO_SELF_SIGNED_CERT: "is signed by itself, and nobody that is trusted vouches for it",
  ERR_TLS_CERT_ALTNAME_INVALID: "is for another name",
  INVALID_PURPOSE: "is not meant for servers",
  SELF_SIGNED_CERT_IN_CHAIN: "comes from an authority that is not trusted",
  UNABLE_TO_GET_ISSUER_CERT: "comes from an authority that is not trusted",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "comes from an authority that is not trusted",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "comes from an authority that is not trusted",
}

function certificateFault(code: string, host: Hostname): string {
  const word = /^[A-Z0-9_]{1,64}$/.test(code) ? code : "unknown"
  return `The certificate of ${host} ${faults[word] ?? "does not verify"} (${word}).`
}

/** Alerts by which an upstream asks for a certificate of the client's, which we have not. */
const wantsCertificate = /CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|BAD_CERTIFICATE/

function handshakeFailed({ code = "" }: NodeJS.ErrnoException, host: Hostname): string {
  const word = /^[A-Z0-9_]{1,64}$/.test(code) ? code : "unknown"
  const hint = wantsCertificate.test(word)
    ? " If it asks for a certificate of the client's, it can only be used unopened: opaque."
    : ""
  return `TLS with ${host} failed (${word}).${hint}`
}
