// Everything: the umbrella header.
#pragma once

#include <weir/chan.h>
#include <weir/cond.h>
#include <weir/context.h>
#include <weir/debug.h>
#include <weir/defer.h>
#include <weir/error.h>
#include <weir/fiber_local.h>
#include <weir/go.h>
#include <weir/http.h>
#include <weir/mutex.h>
#include <weir/net.h>
#include <weir/once.h>
#include <weir/panic.h>
#include <weir/panic_report.h>
#include <weir/runtime.h>
#include <weir/rwmutex.h>
#include <weir/select.h>
#include <weir/signal.h>
#include <weir/sleep.h>
#include <weir/ticker.h>
#include <weir/waitgroup.h>
