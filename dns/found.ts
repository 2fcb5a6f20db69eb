/**
 * From what an upstream said to what may be given to the job: only records that hang together from
 * the question on, without addresses that the name must not have. Pure.
 */
import { addressFromBytes } from "../net/address.ts"
import type { Address } from "../net/address.ts"
import type { Hostname } from "../net/hostname.ts"
import { classIn, rcodes, types } from "./code.ts"
import { noRecords, section, shortSoa } from "./section.ts"
import { hostnameOf, lowered } from "./wire-name.ts"
import type { ResourceRecord, Response } from "./message.ts"
import type { Section } from "./section.ts"

/** What is known of one name and type. */
export interface Found {
  readonly rcode: number
  readonly section: Section
  readonly addresses: readonly Address[]
  /** What the name is an alias for, in their order: those that are host names, a few of them. */
  readonly aliases: readonly Hostname[]
  readonly bornAtMs: number
  /** How long it may be given; 0: to those who wait for it now, and to nobody later. */
  readonly ttlMs: number
  /** Why nothing is in it, where it is not for lack of records. */
  readonly failure:
    "private-address" | "upstream-failed" | "limit-exceeded" | "infrastructure" | null
}

/** As `cache-max-ttl` of Unbound. In seconds. */
const ttlMax = 86_400
/** As `cache-max-negative-ttl` of Unbound. In seconds. */
const negativeTtlMax = 3_600
/** For a denial without an SOA record (RFC 2308 §5 would not keep it at all). In seconds. */
const negativeTtlDefault = 5
/** RFC 9520 §3.2: a failure is remembered for at least a second, and five minutes at most. */
const failureTtlMs = 1_000
/** As Unbound and BIND: more aliases in a row are a mistake or an attack. */
const aliasesMax = 16

/** Aliases that are told. Honest names have one to four. */
const aliasesToldMax = 8

/** Records of one answer. The largest honest ones have some dozens; all that is beyond is left out. */
const recordsMax = 256

/** Which addresses a name may be given. */
export interface Admission {
  readonly admits: (address: Address) => boolean
  /** false in audit mode: what is not admitted is given all the same, and `failure` says so. */
  readonly enforced: boolean
}

/** @param wire the question's name */
export function found(
  wire: string,
  type: number,
  response: Response,
  { admits, enforced }: Admission,
  nowMs: number,
): Found {
  const chain = chainOf(wire, type, response.answers)
  const admitted = chain.records.filter((record) => {
    const address = addressIn(record)
    return address === null || admits(address)
  })
  const refused = chain.records.length > 0 && admitted.length === 0
  const withheld = refused && enforced
  const kept = (enforced ? admitted : chain.records).slice(0, recordsMax)
  const addresses = kept.flatMap((record) => addressIn(record) ?? [])
  if (kept.length === 0) {
    const soa = withheld ? null : zoneOf(wire, chain.end, response.authority)
    const ttl = negativeTtl(soa, chain.aliases)
    const authority = { ...(soa ?? shortSoa(wire, ttl)), ttl }
    return {
      rcode: withheld ? rcodes.noError : response.rcode,
      section: section(wire, withheld ? [] : chain.aliases, [authority]),
      addresses,
      aliases: [],
      bornAtMs: nowMs,
      ttlMs: ttl * 1000,
      failure: withheld ? "private-address" : null,
    }
  }
  const records = [...chain.aliases, ...kept].map(capped)
  return {
    rcode: rcodes.noError,
    section: section(wire, records, []),
    addresses,
    aliases: chain.aliases.slice(0, aliasesToldMax).flatMap((record) => hostIn(record) ?? []),
    bornAtMs: nowMs,
    ttlMs: records.reduce((least, { ttl }) => Math.min(least, ttl), ttlMax) * 1000,
    failure: refused ? "private-address" : null,
  }
}

/** What is given when nothing could be learned. */
export function notFound(failure: Exclude<Found["failure"], null>, nowMs: number): Found {
  return {
    rcode: rcodes.servFail,
    section: noRecords,
    addresses: [],
    aliases: [],
    bornAtMs: nowMs,
    ttlMs: failure === "upstream-failed" ? failureTtlMs : 0,
    failure,
  }
}

interface Chain {
  readonly aliases: readonly ResourceRecord[]
  /** Of the type asked for, at the end of the aliases. */
  readonly records: readonly ResourceRecord[]
  /** The name at the end of the aliases. */
  readonly end: string
}

/**
 * Aliases from the question on, and the records at their end. What does not hang together with the
 * question is left out: it would be the upstream's (or a stranger's) word on names nobody asked for.
 */
function chainOf(wire: string, type: number, answers: readonly ResourceRecord[]): Chain {
  const aliases: ResourceRecord[] = []
  const seen = new Set<string>()
  let end = wire
  while (!seen.has(end) && aliases.length <= aliasesMax) {
    seen.add(end)
    const here = answers.filter((record) => record.owner === end && record.class === classIn)
    const records = here.filter((record) => wanted(record.type, type))
    if (records.length > 0) return { aliases, records, end }
    const alias = here.find((record) => record.type === types.cname)
    if (alias === undefined) return { aliases, records: [], end }
    aliases.push(alias)
    end = lowered(alias.data.toString("latin1"))
  }
  // Why: a circle, or a row without an end. Nothing of it is worth giving.
  return { aliases: [], records: [], end: wire }
}

/** Whether records of a type answer a question for another; never the parameters of SVCB and HTTPS. */
function wanted(type: number, asked: number): boolean {
  if (type === types.svcb || type === types.https || type === types.opt) return false
  return type === asked || asked === types.any
}

function addressIn({ type, data }: ResourceRecord): Address | null {
  return type === types.a || type === types.aaaa ? addressFromBytes(data) : null
}

function hostIn({ data }: ResourceRecord): Hostname | null {
  return hostnameOf(lowered(data.toString("latin1")))
}

/** The SOA record of the zone that has no such record: its owner is the name asked for, or above it. */
function zoneOf(
  wire: string,
  end: string,
  authority: readonly ResourceRecord[],
): ResourceRecord | null {
  const soa = authority.find(
    ({ owner, type, class: of }) =>
      type === types.soa && of === classIn && (isWithin(wire, owner) || isWithin(end, owner)),
  )
  return soa ?? null
}

/** Whether a wire name is another one, or below it. */
function isWithin(name: string, zone: string): boolean {
  for (let at = 0; at < name.length; at += 1 + name.charCodeAt(at)) {
    if (name.length - at === zone.length) return name.endsWith(zone)
    if (name.length - at < zone.length) return false
  }
  return false
}

/** RFC 2308 §5: the lesser of the record's own time and its last number; aliases may be shorter. */
function negativeTtl(soa: ResourceRecord | null, aliases: readonly ResourceRecord[]): number {
  const own =
    soa === null
      ? negativeTtlDefault
      : Math.min(soa.ttl, soa.data.readUInt32BE(soa.data.length - 4), negativeTtlMax)
  return aliases.reduce((least, { ttl }) => Math.min(least, ttl), own)
}

function capped(record: ResourceRecord): ResourceRecord {
  return record.ttl > ttlMax ? { ...record, ttl: ttlMax } : record
}
