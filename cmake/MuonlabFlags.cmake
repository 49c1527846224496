# Flags that every target shares. GCC rejects a precompiled header when PIC,
# -pthread, NDEBUG or a sanitizer differ, so these are set here, per preset, and
# never per target.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# Executables too are compiled as PIC: PIE would need a precompiled header of
# its own.
set(CMAKE_CXX_COMPILE_OPTIONS_PIE "-fPIC")
set(THREADS_PREFER_PTHREAD_FLAG OFF)
find_package(Threads REQUIRED)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

# Contraction would let a*b+c round once here and twice there.
add_compile_options(-ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Without it ccache stores nothing for files that use a precompiled header.
  add_compile_options(-fpch-preprocess)
endif()
if(MUONLAB_SANITIZE STREQUAL "thread")
  # Only for what does not link LibTorch: its own threads are not instrumented.
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
elseif(NOT MUONLAB_SANITIZE MATCHES "^(ON|OFF|TRUE|FALSE|1|0)$")
  message(FATAL_ERROR
    "MUONLAB_SANITIZE: got '${MUONLAB_SANITIZE}', expected ON, OFF or thread")
elseif(MUONLAB_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-omit-frame-pointer
    -fno-sanitize=vptr)
  add_link_options(-fsanitize=address,undefined)
endif()

find_program(MUONLAB_MOLD mold)
if(MUONLAB_MOLD)
  # mold 1.10 (Debian 12) now and then begins the read-only-after-relocation
  # segment in the page before it, by the length of the code: such a program
  # does not start ("cannot apply additional memory protection").
  add_link_options(-fuse-ld=mold -Wl,-z,norelro)
endif()
find_program(MUONLAB_CCACHE ccache)
if(MUONLAB_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${MUONLAB_CCACHE})
endif()

add_library(muonlab_warnings INTERFACE)
target_compile_options(muonlab_warnings INTERFACE
  -Wall -Wextra -Wshadow -Wconversion
  # GCC 12 sees overlaps in std::string that are not there (its bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<BOOL:${MUONLAB_WARNINGS_AS_ERRORS}>:-Werror>)
