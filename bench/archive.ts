/** Objects in files of the kinds that are linked: an ELF object, or an `ar` archive of them. */

export interface Member {
  name: string
  bytes: Buffer
}

const ELF_MAGIC = '\x7fELF'
const ARCHIVE_MAGIC = '!<arch>\n'
/** The size of the header before each member of an archive. */
const HEADER = 60

/** The ELF objects in a file: itself, or the members of an archive. `name` is for a file that is an object. */
export function* objects(file: Buffer, name: string): Generator<Member> {
  if (startsWith(file, ELF_MAGIC)) yield { name, bytes: file }
  if (startsWith(file, ARCHIVE_MAGIC)) yield* members(file)
}

/** The ELF members of a GNU archive. Names longer than 15 characters stand in a member of their own, `//`. */
function* members(file: Buffer): Generator<Member> {
  let longNames = ''
  for (let at = ARCHIVE_MAGIC.length; at + HEADER <= file.length;) {
    const name = text(file, at, 16)
    const size = Number(text(file, at + 48, 10))
    const bytes = file.subarray(at + HEADER, at + HEADER + size)
    if (name === '//') longNames = bytes.toString('latin1')
    if (startsWith(bytes, ELF_MAGIC)) yield { name: memberName(name, longNames), bytes }
    // Members begin at even offsets.
    at += HEADER + size + (size % 2)
  }
}

function memberName(name: string, longNames: string): string {
  const long = /^\/(\d+)$/.exec(name)?.[1]
  const start = long === undefined ? name : longNames.slice(Number(long))
  return start.replace(/\/(\n[^]*)?$/, '')
}

function startsWith(bytes: Buffer, magic: string): boolean {
  return bytes.toString('latin1', 0, magic.length) === magic
}

function text(bytes: Buffer, at: number, length: number): string {
  return bytes.toString('latin1', at, at + length).trim()
}
