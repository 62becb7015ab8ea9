/* SPDX-License-Identifier: Apache-2.0 */
/** Functions that this project does not use, made into compile errors (force-included by the
 * build). */
#ifndef TARE_BASE_BANNED_H
#define TARE_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf
#undef strtok
#undef atoi
#undef atol
#undef atof
#undef gets
#define strcpy(a, b)  tare_banned_strcpy_use_memcpy
#define strcat(a, b)  tare_banned_strcat_use_snprintf
#define sprintf(...)  tare_banned_sprintf_use_snprintf
#define vsprintf(...) tare_banned_vsprintf_use_vsnprintf
#define strtok(a, b)  tare_banned_strtok_use_strcspn
#define atoi(a)       tare_banned_atoi_use_strtol
#define atol(a)       tare_banned_atol_use_strtol
#define atof(a)       tare_banned_atof_use_strtod

#endif
