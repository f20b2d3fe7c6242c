/*
 * A real token seen through glasses: forwards to the library named by SHIM_LIBRARY and changes what the token says about
 * itself, so that states which SoftHSM never reaches (locked PINs, few sessions, narrow mechanisms) can be had.
 *   SHIM_LOGINS    a file that gets one byte for each C_Login
 *   SHIM_FLAGS     token flags to set, hex; SHIM_CLEAR token flags to clear
 *   SHIM_SESSIONS  "max open max-rw open-rw"
 *   SHIM_LACKS     a mechanism that is not there, hex
 *   SHIM_NARROW    "mechanism maxKeySize" (hex, decimal)
 *   SHIM_HANGS     C_GetTokenInfo, C_GetMechanismList, C_FindObjects or C_SignInit: the function that never returns
 *   SHIM_HUNG      a file that is made when it does not return
 *   SHIM_LOGIN_RV  what C_Login returns instead of trying, hex
 *   SHIM_EXPORTS   set: every key says that it can be extracted
 *   SHIM_FORGES    set: every signature has a wrong bit
 *   SHIM_SIGN_RV   what C_SignInit returns instead of working, hex
 *   SHIM_KEYPAD    the PIN that is typed at the token: what C_Login takes when it is given none
 *   SHIM_MAKER     what the library calls its manufacturer, as one in between does
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pkcs11/pkcs11.h>

static CK_FUNCTION_LIST_PTR real;
static CK_FUNCTION_LIST functions;

static unsigned long hex(const char *name) {
  const char *value = getenv(name);
  return value ? strtoul(value, NULL, 16) : 0;
}

static void hang_if(const char *function) {
  const char *name = getenv("SHIM_HANGS");
  if (!name || strcmp(name, function)) return;
  const char *told = getenv("SHIM_HUNG");
  if (told) close(open(told, O_WRONLY | O_CREAT, 0644));
  for (;;) pause();
}

static CK_RV get_info(CK_INFO_PTR info) {
  CK_RV rv = real->C_GetInfo(info);
  const char *maker = getenv("SHIM_MAKER");
  if (rv != CKR_OK || !maker) return rv;
  memset(info->manufacturerID, ' ', sizeof info->manufacturerID);
  memcpy(info->manufacturerID, maker, strnlen(maker, sizeof info->manufacturerID));
  return rv;
}

static CK_RV token_info(CK_SLOT_ID slot, CK_TOKEN_INFO_PTR info) {
  hang_if("C_GetTokenInfo");
  CK_RV rv = real->C_GetTokenInfo(slot, info);
  const char *sessions = getenv("SHIM_SESSIONS");
  if (rv != CKR_OK || !(info->flags & CKF_TOKEN_INITIALIZED)) return rv;
  info->flags |= hex("SHIM_FLAGS");
  info->flags &= ~hex("SHIM_CLEAR");
  if (sessions)
    sscanf(sessions, "%lu %lu %lu %lu", &info->ulMaxSessionCount, &info->ulSessionCount,
           &info->ulMaxRwSessionCount, &info->ulRwSessionCount);
  return rv;
}

static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG length) {
  const char *path = getenv("SHIM_LOGINS");
  if (path) {
    int file = open(path, O_WRONLY | O_APPEND | O_CREAT, 0644);
    if (write(file, "L", 1) != 1) abort();
    close(file);
  }
  if (getenv("SHIM_LOGIN_RV")) return hex("SHIM_LOGIN_RV");
  const char *typed = getenv("SHIM_KEYPAD");
  if (typed && length == 0) return real->C_Login(session, user, (CK_UTF8CHAR_PTR)typed, strlen(typed));
  if (typed) return CKR_ARGUMENTS_BAD;
  return real->C_Login(session, user, pin, length);
}

static CK_RV sign_init(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key) {
  hang_if("C_SignInit");
  if (getenv("SHIM_SIGN_RV")) return hex("SHIM_SIGN_RV");
  return real->C_SignInit(session, mechanism, key);
}

static CK_RV mechanism_list(CK_SLOT_ID slot, CK_MECHANISM_TYPE_PTR list, CK_ULONG_PTR count) {
  hang_if("C_GetMechanismList");
  CK_RV rv = real->C_GetMechanismList(slot, list, count);
  if (rv != CKR_OK || !list || !getenv("SHIM_LACKS")) return rv;
  CK_ULONG kept = 0;
  for (CK_ULONG i = 0; i < *count; i++)
    if (list[i] != hex("SHIM_LACKS")) list[kept++] = list[i];
  *count = kept;
  return rv;
}

static CK_RV mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO_PTR info) {
  CK_RV rv = real->C_GetMechanismInfo(slot, type, info);
  unsigned long narrow, size;
  const char *value = getenv("SHIM_NARROW");
  if (rv == CKR_OK && value && sscanf(value, "%lx %lu", &narrow, &size) == 2 && narrow == type)
    info->ulMaxKeySize = size;
  return rv;
}

static CK_RV find_objects(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE_PTR found, CK_ULONG max, CK_ULONG_PTR count) {
  hang_if("C_FindObjects");
  return real->C_FindObjects(session, found, max, count);
}

static CK_RV attribute_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_PTR list, CK_ULONG count) {
  CK_RV rv = real->C_GetAttributeValue(session, object, list, count);
  if (rv != CKR_OK || !getenv("SHIM_EXPORTS")) return rv;
  for (CK_ULONG i = 0; i < count; i++)
    if (list[i].type == CKA_EXTRACTABLE && list[i].pValue && list[i].ulValueLen == sizeof(CK_BBOOL))
      *(CK_BBOOL *)list[i].pValue = CK_TRUE;
  return rv;
}

static CK_RV sign(CK_SESSION_HANDLE session, CK_BYTE_PTR data, CK_ULONG length, CK_BYTE_PTR signature, CK_ULONG_PTR size) {
  CK_RV rv = real->C_Sign(session, data, length, signature, size);
  if (rv == CKR_OK && signature && getenv("SHIM_FORGES")) signature[*size - 1] ^= 1;
  return rv;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list) {
  void *library = dlopen(getenv("SHIM_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
  CK_C_GetFunctionList get = library ? (CK_C_GetFunctionList)dlsym(library, "C_GetFunctionList") : NULL;
  if (!get || get(&real) != CKR_OK) return CKR_GENERAL_ERROR;
  functions = *real;
  functions.C_GetInfo = get_info;
  functions.C_GetTokenInfo = token_info;
  functions.C_Login = login;
  functions.C_SignInit = sign_init;
  functions.C_GetMechanismList = mechanism_list;
  functions.C_GetMechanismInfo = mechanism_info;
  functions.C_FindObjects = find_objects;
  functions.C_GetAttributeValue = attribute_value;
  functions.C_Sign = sign;
  *list = &functions;
  return CKR_OK;
}
