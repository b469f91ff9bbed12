/** The part of @defasm/core that the assembler example uses; the package has no typings of its own. */
declare module '@defasm/core' {
  interface Statements {
    /** Size in bytes. */
    length(): number
    dump(): Uint8Array
  }

  interface Relocation {
    offset: number
    addend: bigint
    symbol: AssembledSymbol
    /** In bits. */
    size: 8 | 16 | 32 | 64
    signed: boolean
    pcRelative: boolean
    /** Whether it is the operand of a call or jump. */
    functionAddr: boolean
  }

  interface AssembledSection {
    name: string
    head: Statements
    /** `sh_flags` of ELF. */
    flags: number
    /** `sh_type` of ELF. */
    type: number
    getRelocations(): Relocation[]
  }

  interface AssembledSymbol {
    name: string
    value: { section: { name: string }; addend: bigint }
    /** 1 if the symbol is global. */
    bind: number | undefined
  }

  class AssemblyState {
    constructor(options?: { syntax?: { intel: boolean; prefix: boolean } })
    sections: AssembledSection[]
    symbols: Map<string, AssembledSymbol>
    errors: Error[]
    compile(source: string): void
  }
}
