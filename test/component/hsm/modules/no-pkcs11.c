/* A library like any other: nothing of PKCS#11 in it. */
int answer(void) { return 42; }
