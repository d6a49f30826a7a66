/* hwt.h - what every test program needs: cmocka with the headers it forgets, and our base. */
#ifndef HWT_H
#define HWT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

#endif
