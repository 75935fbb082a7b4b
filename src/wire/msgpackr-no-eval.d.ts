// The build of msgpackr that compiles no code from what it decodes; the package ships no types for it.
declare module 'msgpackr/index-no-eval' {
  export class Packr {
    constructor(options: { useRecords: false; mapsAsObjects: false; int64AsType: 'auto' })
    pack(value: unknown): Uint8Array
    unpack(bytes: Uint8Array): unknown
  }
}
