/** Makes the bytes that the gate's tests feed it. */

export interface HelloWanted {
  /** Bodies of extensions by type, in order; several of one type are possible. */
  readonly extensions?: readonly (readonly [number, Buffer])[]
  /** Most bytes of the message in one record. */
  readonly recordBytes?: number
  readonly session?: number
  /** Sent in place of a list of extensions. */
  readonly noExtensions?: boolean
}

export function u8(number: number): Buffer {
  return Buffer.from([number])
}

export function u16(number: number): Buffer {
  return Buffer.from([number >>> 8, number & 255])
}

export function u24(number: number): Buffer {
  return Buffer.from([number >>> 16, (number >>> 8) & 255, number & 255])
}

/** Bytes led by their length in two bytes. */
export function vector16(bytes: Buffer): Buffer {
  return Buffer.concat([u16(bytes.length), bytes])
}

/** A server_name extension's body. */
export function serverNames(...names: readonly (string | Buffer)[]): Buffer {
  return vector16(
    Buffer.concat(names.map((name) => Buffer.concat([u8(0), vector16(Buffer.from(name))]))),
  )
}

export function protocols(...names: readonly string[]): Buffer {
  return vector16(
    Buffer.concat(
      names.map((name) => Buffer.concat([u8(name.length), Buffer.from(name, "latin1")])),
    ),
  )
}

/** The message with its header. */
export function helloMessage({
  extensions = [],
  session = 32,
  noExtensions,
}: HelloWanted = {}): Buffer {
  const list = Buffer.concat(
    extensions.map(([type, body]) => Buffer.concat([u16(type), vector16(body)])),
  )
  const body = Buffer.concat([
    u16(0x0303),
    Buffer.alloc(32, 7),
    u8(session),
    Buffer.alloc(session, 8),
    vector16(Buffer.concat([u16(0x1301), u16(0x1302)])),
    u8(1),
    u8(0),
    ...(noExtensions === true ? [] : [vector16(list)]),
  ])
  return Buffer.concat([u8(1), u24(body.length), body])
}

/** A message in records. */
export function records(message: Buffer, recordBytes = 16_384): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < message.length; at += recordBytes) {
    parts.push(u8(22), u16(0x0301), vector16(message.subarray(at, at + recordBytes)))
  }
  return Buffer.concat(parts)
}

export function hello(wanted: HelloWanted = {}): Buffer {
  return records(helloMessage(wanted), wanted.recordBytes)
}

/** A hello for one name. */
export function helloFor(serverName: string, recordBytes?: number): Buffer {
  return hello({
    extensions: [[0, serverNames(serverName)]],
    ...(recordBytes === undefined ? {} : { recordBytes }),
  })
}
