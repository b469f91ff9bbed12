/** The types of functions, with the names that `node:ffi` gives them. */

import type { NativeType } from './internal/types.ts'

/**
 * An integer of at most 32 bits, or a float: a JavaScript number.
 *
 * `char` is signed where C's is. `bool` is another spelling of `uint8`, as in `node:ffi`: pass 0 or 1.
 *
 * @example
 * ```ts
 * import type { NumberType } from 'codeslab'
 *
 * const counter: NumberType = 'uint32'
 * ```
 *
 * @category Calling
 */
export type NumberType =
  | ('char' | 'bool' | 'int8' | 'i8' | 'uint8' | 'u8' | 'int16' | 'i16' | 'uint16' | 'u16')
  | ('int32' | 'i32' | 'uint32' | 'u32' | 'short' | 'ushort' | 'int' | 'uint')
  | ('float32' | 'f32' | 'float' | 'float64' | 'f64' | 'double')

/**
 * An integer of 64 bits: a bigint. As an argument, a number that is a safe integer does as well.
 *
 * `long` and the types of C's headers are as wide as here; on Windows, where C's `long` has 32 bits, say `int32`.
 *
 * @example
 * ```ts
 * import type { BigIntType } from 'codeslab'
 *
 * const length: BigIntType = 'uint64'
 * ```
 *
 * @category Calling
 */
export type BigIntType =
  | ('int64' | 'i64' | 'uint64' | 'u64')
  | ('long' | 'ulong' | 'longlong' | 'ulonglong' | 'size_t' | 'ssize_t' | 'intptr_t' | 'uintptr_t')

/**
 * A C string: text on both sides. As a result, it is copied to where its NUL is, from UTF-8, and null is `null`; whose memory it is
 * and who frees it, C does not say. As an argument, it is what any other address is.
 *
 * @example
 * ```ts
 * import type { TextType } from 'codeslab'
 *
 * const version = { return: 'char *' } as const satisfies { return: TextType }
 * ```
 *
 * @category Calling
 */
export type TextType = 'char *'

/**
 * An address. All of these names mean the same, as in `node:ffi`; they tell the reader what is behind it.
 *
 * @example
 * ```ts
 * import type { PointerType } from 'codeslab'
 *
 * const text: PointerType = 'string'
 * ```
 *
 * @category Calling
 */
export type PointerType = 'pointer' | 'ptr' | 'string' | 'str' | 'buffer' | 'arraybuffer' | 'function'

/**
 * A type that is passed by value, or a pointer to values: what {@link struct}, {@link enumeration}, {@link pointer}, {@link out} and
 * {@link inout} give.
 *
 * @example
 * ```ts
 * import { struct, type PassedType } from 'codeslab'
 *
 * const types: PassedType[] = [struct('Point', { x: 'double', y: 'double' })]
 * ```
 *
 * @category Calling
 */
export type PassedType =
  NativeType<object, 'struct'> | NativeType<number | string, 'enumeration'> | NativeType<unknown, 'pointer'>

/**
 * What an argument can be.
 *
 * @example
 * ```ts
 * import type { ArgumentType } from 'codeslab'
 *
 * const types = ['int32', 'double', 'pointer'] as const satisfies ArgumentType[]
 * ```
 *
 * @category Calling
 */
export type ArgumentType = NumberType | BigIntType | PointerType | TextType | CallbackType | PassedType

/**
 * A function that native code calls: its signature, in the place of a type. A JavaScript function that is passed for it can be called by
 * native code until the call has returned; {@link CodeMemory.callback} makes one for longer. Native functions and addresses can be
 * passed as well.
 *
 * @example
 * ```ts
 * import type { CallbackType } from 'codeslab'
 *
 * const compare = { return: 'int32', arguments: ['pointer', 'pointer'] } as const satisfies CallbackType
 * ```
 *
 * @category Calling
 */
export interface CallbackType {
  /** The type of the result. Default: `'void'`. */
  readonly return?: ResultType
  /** The types of the arguments. Default: none. */
  readonly arguments?: readonly ArgumentType[]
}

/**
 * What a result can be: any type, or `'void'`.
 *
 * @example
 * ```ts
 * import type { ResultType } from 'codeslab'
 *
 * const nothing: ResultType = 'void'
 * ```
 *
 * @category Calling
 */
export type ResultType = 'void' | Exclude<ArgumentType, CallbackType>

/**
 * What a function takes and returns, in the shape of `node:ffi`.
 *
 * TypeScript infers the type of the callable from it, as long as it is written in place or `as const`.
 *
 * @example
 * ```ts
 * import type { Signature } from 'codeslab'
 *
 * const binary = { return: 'int32', arguments: ['int32', 'int32'] } as const satisfies Signature
 * ```
 *
 * @category Calling
 */
export interface Signature {
  /** The type of the result. Default: `'void'`. */
  readonly return?: ResultType
  /**
   * The types of the arguments. Default: none. Those of a variadic function are those of one call, with `'...'` before the ones that
   * vary: these are at least as wide as `int32` and `double`.
   */
  readonly arguments?: readonly (ArgumentType | '...')[]
}

/**
 * What can be passed as an address.
 *
 * A bigint is the address itself. Buffers and views lend the address of their bytes for the duration of the call; native
 * code that keeps it longer reads freed memory. A string is copied, as UTF-8 with a NUL at its end, for the duration of the
 * call; one that contains a NUL is refused. A function or object that has its address in `pointer`, such as those of
 * {@link Image.function}, {@link CodeMemory.callback} and `node:ffi`, passes that. `null` and `undefined` are null.
 *
 * @example
 * ```ts
 * import type { PointerValue } from 'codeslab'
 *
 * const values: PointerValue[] = [0x1000n, Buffer.from('bytes'), 'text', null]
 * ```
 *
 * @category Calling
 */
export type PointerValue =
  | (bigint | ArrayBufferView | ArrayBuffer | string | NativeFunctionLike | null | undefined)
  | {
      /** Where it is. */
      readonly pointer: bigint
    }

/**
 * A function that says where its code is, such as those of {@link Image.function} and of `node:ffi`.
 *
 * @example
 * ```ts
 * import type { Image, NativeFunctionLike } from 'codeslab'
 *
 * declare const image: Image
 * const compare: NativeFunctionLike = image.function('compare', { return: 'int32', arguments: ['pointer', 'pointer'] })
 * ```
 *
 * @category Calling
 */
export interface NativeFunctionLike {
  (...values: never[]): unknown
  /** Where its code is. */
  readonly pointer: bigint
}

/**
 * What JavaScript passes for an argument of a type.
 *
 * @example
 * ```ts
 * import type { ArgumentValue } from 'codeslab'
 *
 * const length: ArgumentValue<'uint64'> = 64 // or 64n
 * ```
 *
 * @category Calling
 */
export type ArgumentValue<Type extends ArgumentType> =
  Type extends NativeType<infer Value>
    ? Value
    : Type extends NumberType
      ? number
      : Type extends BigIntType
        ? bigint | number
        : Type extends CallbackType
          ? | CallbackFunction<Type>
            | {
                /** Where the code is. */
                readonly pointer: bigint
              }
            | bigint
            | null
            | undefined
          : PointerValue

/**
 * A JavaScript function that native code can call with a signature.
 *
 * It gets what a call from JavaScript would return for each type, and returns what one would pass; addresses as bigints, or null. A result
 * that the type does not have throws, and so does everything that it throws: out of the call of native code that is below it on the stack,
 * once that has returned. Until then native code gets zero from this callback and from every other.
 *
 * @example
 * ```ts
 * import type { CallbackFunction } from 'codeslab'
 *
 * type Compare = CallbackFunction<{ return: 'int32'; arguments: ['pointer', 'pointer'] }>
 * const byAddress: Compare = (a, b) => (a < b ? -1 : 1)
 * ```
 *
 * @category Calling
 */
export type CallbackFunction<S extends CallbackType> = (
  ...values: CallbackValues<S['arguments']>
) => ResultOf<S['return']> extends infer Result
  ? Result extends 'void'
    ? unknown
    : Result extends NativeType<infer Value>
      ? Value
      : Result extends NumberType
        ? number
        : Result extends BigIntType
          ? bigint | number
          : bigint | null
  : never

/**
 * What a callback gets for a list of types: what a result would be, and addresses as bigints.
 *
 * @example
 * ```ts
 * import type { CallbackValues } from 'codeslab'
 *
 * const values: CallbackValues<['int32', 'pointer']> = [1, 0n]
 * ```
 *
 * @category Calling
 */
export type CallbackValues<Types extends readonly unknown[] | undefined> = Types extends readonly unknown[]
  ? {
      -readonly [Index in keyof Types]: Types[Index] extends ResultType
        ? Types[Index] extends TextType
          ? bigint
          : ResultValue<Types[Index]>
        : bigint
    }
  : []

/**
 * What JavaScript gets for a result of a type.
 *
 * @example
 * ```ts
 * import type { ResultValue } from 'codeslab'
 *
 * const checksum: ResultValue<'uint64'> = 3421780262n
 * ```
 *
 * @category Calling
 */
export type ResultValue<Type extends ResultType> = Type extends 'void'
  ? undefined
  : Type extends NativeType<infer Value, infer Kind>
    ? Kind extends 'struct'
      ? Value
      : Kind extends 'enumeration'
        ? number
        : bigint
    : Type extends NumberType
      ? number
      : Type extends TextType
        ? string | null
        : bigint

/**
 * Native code as a JavaScript function.
 *
 * It takes exactly the arguments of its signature, and nothing is coerced: a wrong count throws a `TypeError` with
 * `ERR_INVALID_ARG_COUNT`, a wrong type one with `ERR_INVALID_ARG_TYPE`, and a value that the type does not have a
 * `RangeError` with `ERR_OUT_OF_RANGE`. While it exists the code that it calls is not collected, and while a call of it is running
 * that code is not freed; calling it after `free()` throws `ERR_CODESLAB_FREED`.
 *
 * Native code can do anything: a signature that does not match it, a pointer that it must not touch or a bug of its own
 * ends the process.
 *
 * @example
 * ```ts
 * import type { NativeFunction } from 'codeslab'
 *
 * type Add = NativeFunction<{ return: 'int32'; arguments: ['int32', 'int32'] }> // (a: number, b: number) => number
 * const twice = (add: Add, value: number): number => add(value, value)
 * ```
 *
 * @category Calling
 */
export type NativeFunction<S extends Signature = Signature> = ((
  ...values: ArgumentValues<S['arguments']>
) => ResultValue<ResultOf<S['return']>>) & {
  /** Where its code is. */
  readonly pointer: bigint
  /**
   * Calls it on a thread of libuv's pool, and promises the result: JavaScript goes on meanwhile. Arguments are checked at once. Buffers
   * must be neither detached nor resized before the promise is settled. Callbacks that it calls run on this thread when its event loop turns.
   */
  readonly async: (...values: ArgumentValues<S['arguments']>) => Promise<ResultValue<ResultOf<S['return']>>>
}

/**
 * What JavaScript passes for a list of types.
 *
 * @example
 * ```ts
 * import type { ArgumentValues } from 'codeslab'
 *
 * const values: ArgumentValues<['int32', 'pointer']> = [1, null]
 * ```
 *
 * @category Calling
 */
export type ArgumentValues<Types extends readonly (ArgumentType | '...')[] | undefined> = Types extends readonly [
  infer First,
  ...infer Rest extends readonly (ArgumentType | '...')[],
]
  ? First extends '...'
    ? ArgumentValues<Rest>
    : [ArgumentValue<Extract<First, ArgumentType>>, ...ArgumentValues<Rest>]
  : Types extends readonly []
    ? []
    : Types extends readonly (infer Any)[]
      ? ArgumentValue<Extract<Any, ArgumentType>>[]
      : []

/**
 * The type of a result: the one that a signature declares, or `'void'` where it declares none.
 *
 * @example
 * ```ts
 * import type { ResultOf, Signature } from 'codeslab'
 *
 * type Result<S extends Signature> = ResultOf<S['return']>
 * ```
 *
 * @category Calling
 */
export type ResultOf<Declared> = Declared extends ResultType ? Declared : 'void'
