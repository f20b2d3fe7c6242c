/* A PKCS#11 library whose C_Initialize does what MISBEHAVE says, as vendors' libraries have been seen to do. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pkcs11/pkcs11.h>

static CK_RV initialize(void *arguments) {
  const char *how = getenv("MISBEHAVE");
  (void)arguments;
  if (!strcmp(how, "hang")) for (;;) pause();
  if (!strcmp(how, "hang-deaf")) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (;;) pause();
  }
  if (!strcmp(how, "crash")) *(volatile int *)0 = 1;
  if (!strcmp(how, "exit")) _exit(3);
  if (!strcmp(how, "print")) {
    printf("trying with pin %s\n", getenv("PRINTED"));
    fflush(stdout);
    fprintf(stderr, "cannot reach the appliance with %s\n", getenv("PRINTED"));
  }
  if (!strcmp(how, "helper")) {
    if (fork() == 0) {
      FILE *file = fopen(getenv("HELPER_PID"), "w");
      fprintf(file, "%d", getpid());
      fclose(file);
      for (;;) pause();
    }
    while (access(getenv("HELPER_PID"), R_OK) != 0) usleep(1000);
  }
  return CKR_GENERAL_ERROR;
}

static CK_FUNCTION_LIST functions = {.version = {2, 40}, .C_Initialize = initialize};

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list) {
  *list = &functions;
  return CKR_OK;
}
