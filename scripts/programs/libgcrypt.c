/* libgcrypt: digests, ciphers, signatures. */

#include <gcrypt.h>
#include <string.h>

int start(void) { return gcry_check_version(0) && !gcry_control(GCRYCTL_DISABLE_SECMEM, 0) && !gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0); }

int digest(const char *name, const void *data, unsigned size, unsigned char *out) {
  int kind = gcry_md_map_name(name);
  if (!kind) return -1;
  gcry_md_hash_buffer(kind, out, data, size);
  return (int)gcry_md_get_algo_dlen(kind);
}

int encrypt(const unsigned char *key, const unsigned char *iv, const void *data, unsigned size, unsigned char *out) {
  gcry_cipher_hd_t cipher;
  if (gcry_cipher_open(&cipher, GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_CTR, 0)) return -1;
  gcry_cipher_setkey(cipher, key, 32);
  gcry_cipher_setctr(cipher, iv, 16);
  int failed = gcry_cipher_encrypt(cipher, out, size, data, size) != 0;
  gcry_cipher_close(cipher);
  return failed ? -1 : (int)size;
}

/* Makes a key, signs a number and verifies it; then another number, which has to fail. */
int signs(void) {
  gcry_sexp_t parameters, key, data, other, signature;
  if (gcry_sexp_build(&parameters, 0, "(genkey (rsa (nbits 4:1024) (transient-key)))")) return -1;
  if (gcry_pk_genkey(&key, parameters)) return -2;
  gcry_sexp_build(&data, 0, "(data (flags pkcs1) (hash sha256 %b))", 32, "0123456789abcdef0123456789abcdef");
  gcry_sexp_build(&other, 0, "(data (flags pkcs1) (hash sha256 %b))", 32, "0123456789abcdef0123456789abcdeX");
  if (gcry_pk_sign(&signature, data, key)) return -3;
  int right = gcry_pk_verify(signature, data, key) == 0;
  int wrong = gcry_pk_verify(signature, other, key) == 0;
  gcry_sexp_release(parameters), gcry_sexp_release(key), gcry_sexp_release(data), gcry_sexp_release(other), gcry_sexp_release(signature);
  return right + 2 * wrong;
}
