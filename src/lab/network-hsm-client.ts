import { NETWORK_HSM } from './settings.ts';

/**
 * The network HSM's client library, in C: what a vendor's library is to its appliance. It reads the server's address
 * from a file, so that no program needs an environment variable, and leaves the rest to p11-kit's client module,
 * whose address comes from P11_KIT_SERVER_ADDRESS (p11-kit(8)).
 */
export const CLIENT_SOURCE = `#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CKR_ARGUMENTS_BAD 0x07UL
#define CKR_DEVICE_ERROR 0x30UL
#define CLIENT "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so"
#define CONFIGURATION "${NETWORK_HSM.configuration}"

typedef unsigned long (*get_function_list)(void **);

static int read_address(char *address, int size)
{
  FILE *file = fopen(CONFIGURATION, "re");
  int found = file != NULL && fgets(address, size, file) != NULL;

  if (file != NULL)
    fclose(file);
  if (found)
    address[strcspn(address, "\\r\\n")] = '\\0';
  return found && address[0] != '\\0';
}

unsigned long C_GetFunctionList(void **list)
{
  static get_function_list client;

  if (list == NULL)
    return CKR_ARGUMENTS_BAD;
  if (client == NULL) {
    char address[256];
    void *library;

    if (!read_address(address, sizeof address) || setenv("P11_KIT_SERVER_ADDRESS", address, 1) != 0)
      return CKR_DEVICE_ERROR;
    library = dlopen(CLIENT, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
      return CKR_DEVICE_ERROR;
    client = (get_function_list)dlsym(library, "C_GetFunctionList");
  }
  return client == NULL ? CKR_DEVICE_ERROR : client(list);
}
`;
