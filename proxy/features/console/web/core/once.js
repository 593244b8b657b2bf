// A key for a request that makes something: the same request, sent again, makes it once.

// The key of a request: what is sent again after a lost answer is made once.
export class OnceKey {
  of({ file, ...texts }) {
    const said = JSON.stringify(texts);
    if (this.file !== file || this.said !== said) {
      const random = crypto.getRandomValues(new Uint8Array(16));
      Object.assign(this, { file, said, key: [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("") });
    }
    return { "Idempotency-Key": this.key };
  }
}
