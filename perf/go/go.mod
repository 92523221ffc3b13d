module weir/perf

go 1.19
