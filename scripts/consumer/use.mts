// What TypeScript has to know about the package: signatures give types to the functions made from them.
import { CodeMemory, CodeslabError } from 'codeslab'

const memory = new CodeMemory({ blockSize: 2 ** 20, codeModel: 'small', writer: 'auto' })
const image = memory.link(new Uint8Array(), { externals: { hook: 0x1234n } })
const crc32 = image.function('crc32', { return: 'uint64', arguments: ['uint64', 'pointer', 'uint32'] })
const sum: bigint = crc32(0n, new Uint8Array(1), 1)
// @ts-expect-error a uint64 is a bigint
const wrong: string = crc32(0n, new Uint8Array(1), 1)
// @ts-expect-error three arguments are needed
crc32(0n, null)
// @ts-expect-error there is no such protection
memory.allocate({ text: { protection: 'rwx', size: 1 } })
const address: bigint = memory.allocate({ text: { protection: 'rx', size: 64, align: 16 } }).text.address

export { CodeslabError, address, sum, wrong }
