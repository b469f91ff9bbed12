/**
 * Code memory for just-in-time compilers, linkers, emulators and hooks: machine code placed near its data, written under W^X,
 * linked, called and freed.
 *
 * Begin with {@link CodeMemory}.
 *
 * @document docs/install.md
 * @document docs/c-library.md
 * @document docs/jit.md
 * @document docs/plugins.md
 * @document docs/hooks.md
 * @document docs/replacing.md
 * @document docs/debugging.md
 * @document docs/command-line.md
 * @document docs/runtimes.md
 * @document docs/windows.md
 * @document docs/macos.md
 * @document docs/embedding.md
 * @document docs/memory.md
 * @document docs/placing.md
 * @document docs/linking.md
 * @document docs/coverage.md
 * @document docs/calling.md
 * @document docs/data.md
 * @document docs/workers.md
 * @document docs/running.md
 * @document docs/limits.md
 * @document docs/faq.md
 * @document docs/troubleshooting.md
 * @document docs/errors.md
 * @document docs/stability.md
 * @document ARCHITECTURE.md
 * @document PORTING.md
 * @document SECURITY.md
 * @document CONTRIBUTING.md
 * @document crates/codeslab-link/fuzz/README.md
 * @document CHANGELOG.md
 * @packageDocumentation
 */

export type { Addressable, AddressLike } from './src/address.ts'
export { Allocation, InFlightAllocation, InFlightSection, type InFlight, type Published } from './src/allocation.ts'
export { Callback } from './src/callback.ts'
export type { CompileOptions, CompilerDiagnostic } from './src/cc.ts'
export { drawLayout, drawLayoutSvg, type DrawingOptions } from './src/drawing.ts'
export { CodeslabError, type CodeslabErrorCode, type Fact } from './src/errors.ts'
export { MemoryHandle } from './src/handle.ts'
export type { Graph, GraphRelocation, GraphSection, GraphSymbol, RelocationType } from './src/graph.ts'
export { Image, type ImageSymbol } from './src/image.ts'
export type { ExternalAddress, LinkEstimate, LinkInput, LinkOptions, NamedInput } from './src/link.ts'
export { lookup, type Location } from './src/lookup.ts'
export { CodeMemory } from './src/memory.ts'
export { ParsedInput } from './src/parsed.ts'
export { PlacingMemory, type PublishedBatch, type PublishedRequests } from './src/placing.ts'
export type { CodeMemoryOptions } from './src/options.ts'
export type { AddressWindow, Neighbourhood, Placement, SectionRequest } from './src/request.ts'
export { Slot } from './src/slot.ts'
export { Section } from './src/section.ts'
export type { Protection } from './src/protection.ts'
export type {
  ArgumentType,
  ArgumentValue,
  ArgumentValues,
  BigIntType,
  CallbackFunction,
  CallbackType,
  CallbackValues,
  NativeFunction,
  NativeFunctionLike,
  NumberType,
  PassedType,
  PointerType,
  PointerValue,
  ResultOf,
  ResultType,
  ResultValue,
  Signature,
  TextType,
} from './src/signature.ts'
export type {
  BlockLayout,
  Capabilities,
  CodeModel,
  CodeModelReach,
  Constants,
  Found,
  GracePeriod,
  MemoryLayout,
  MemoryStats,
  Quarantine,
  Sealing,
  SealingStatus,
  Tools,
  SealStatus,
  SlabLayout,
  SpanLayout,
  Writer,
  WriterStatus,
} from './src/stats.ts'
export {
  alignof,
  array,
  enumeration,
  inout,
  NativeType,
  offsetof,
  out,
  pointer,
  sizeof,
  struct,
  type FieldType,
  type FieldValue,
  type PointedValue,
  type StructureValue,
} from './src/type.ts'
export { Variable, type DataInput, type DataType, type DataValue } from './src/variable.ts'
