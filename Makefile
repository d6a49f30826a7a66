# The front door; CMake does the work. `make` alone lists what there is.
#
#   CC, CXX    compilers (gcc and clang work)
#   JOBS       how much at once; default: one per processor
#   WORK, HDF5 what `make bench` measures (bench/bench.py); BENCH: further options of it
#   SHOWCASE   options for `make showcase-NAME`: --docs puts pictures and figures into docs/showcases
#   PREFIX     where `make install` puts things; default /usr/local (DESTDIR is honoured)

JOBS   ?= $(shell nproc 2>/dev/null || echo 2)
PREFIX ?= /usr/local
WORK   ?= A,B,Bp,C
BUILD  := build

.DEFAULT_GOAL := help
.PHONY: help deps build demo test bench install fmt check clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / {sub("%", "NAME", $$1); printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: ## install the Debian packages that are missing (as root or through sudo)
	@tools/deps.sh build

build: deps ## build the library and the command build/hashwood
	@cmake --preset release >/dev/null
	@cmake --build $(BUILD) --parallel $(JOBS) --target product

demo: build ## search 60,000 real pictures: import, index, query, update, compare
	@tools/deps.sh demo
	@tools/demo.sh

showcase-%: build ## files to answers on real data; NAME: fashion stamps sounds films words duplicates
	@tools/deps.sh $@
	@python3 showcases/$*.py $(SHOWCASE)

test: deps ## build and run all tests
	@tools/deps.sh demo
	@cmake --preset release >/dev/null
	@cmake --build $(BUILD) --parallel $(JOBS)
	@tools/run_tests.sh $(BUILD) --parallel $(JOBS)

bench: build ## measure beside other engines: WORK=A,B,Bp,C or HDF5=file
	@tools/deps.sh demo bench
	@bench/run.sh $(if $(HDF5),--hdf5 $(HDF5),--work $(WORK)) $(BENCH)

install: build ## install the command, library, headers, man pages and completions to PREFIX
	@cmake --install $(BUILD) --prefix $(PREFIX)

fmt: ## lay out all sources with clang-format
	@tools/deps.sh check
	@tools/lint.sh fmt

check: build ## clang-format, clang-tidy, cppcheck, include direction, names, stale paths
	@tools/deps.sh check
	@tools/lint.sh check

clean: ## remove build folders
	rm -rf build build-dev build-asan build-tsan build-fuzz
