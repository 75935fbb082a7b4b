// The part of the package k-bucket 5.1.0 that is used here. Written by hand, because @types/k-bucket pulls in
// the types of Node, which a browser does not have.
declare module '#k-bucket' {
  interface Options<T> {
    localNodeId: Uint8Array
    numberOfNodesPerKBucket: number
    /** Chooses which of two objects with one id the bucket keeps, as its most recently seen. */
    arbiter(incumbent: T, candidate: T): T
  }

  export default class KBucket<T extends { readonly id: Uint8Array }> {
    constructor(options: Options<T>)
    /** Takes no contact whose bucket is full and does not split; of an id that is in, asks the arbiter. */
    add(contact: T): this
    remove(id: Uint8Array): this
  }
}
