/* OpenSSL's digests, ciphers and signatures, for what JavaScript hands over. */

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

int digest(const char *name, const void *data, unsigned size, unsigned char *out) {
  unsigned length = 0;
  const EVP_MD *kind = EVP_get_digestbyname(name);
  if (!kind || !EVP_Digest(data, size, out, &length, kind, 0)) return -1;
  return (int)length;
}

int encrypt(const char *name, const unsigned char *key, const unsigned char *iv, const void *data, int size, unsigned char *out) {
  const EVP_CIPHER *kind = EVP_get_cipherbyname(name);
  EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
  int first = 0, last = -1;
  int done = kind && EVP_EncryptInit_ex(context, kind, 0, key, iv) && EVP_EncryptUpdate(context, out, &first, data, size) &&
             EVP_EncryptFinal_ex(context, out + first, &last);
  EVP_CIPHER_CTX_free(context);
  return done ? first + last : -1;
}

static EVP_PKEY *key_of(const char *pem, int is_private) {
  BIO *text = BIO_new_mem_buf(pem, -1);
  EVP_PKEY *key = is_private ? PEM_read_bio_PrivateKey(text, 0, 0, 0) : PEM_read_bio_PUBKEY(text, 0, 0, 0);
  BIO_free(text);
  return key;
}

int sign(const char *pem, const void *data, unsigned size, unsigned char *out, unsigned room) {
  size_t length = room;
  EVP_PKEY *key = key_of(pem, 1);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  int done = key && EVP_DigestSignInit(context, 0, EVP_sha256(), 0, key) && EVP_DigestSign(context, out, &length, data, size);
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(key);
  return done ? (int)length : -1;
}

int verify(const char *pem, const void *data, unsigned size, const unsigned char *signature, unsigned length) {
  EVP_PKEY *key = key_of(pem, 0);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  int done = key && EVP_DigestVerifyInit(context, 0, EVP_sha256(), 0, key) == 1
                 ? EVP_DigestVerify(context, signature, length, data, size)
                 : -1;
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(key);
  return done;
}

/* A key of its own, written as text: the random generator and its threads' states take part. */
int generate(unsigned bits, char *out, unsigned room) {
  EVP_PKEY *key = EVP_RSA_gen(bits);
  BIO *text = BIO_new(BIO_s_mem());
  int length = -1;
  if (key && PEM_write_bio_PUBKEY(text, key)) length = BIO_read(text, out, (int)room);
  BIO_free(text);
  EVP_PKEY_free(key);
  return length;
}
