// Where a run happened: what env.json says.
#pragma once

#include <string>
#include <vector>

#include "muonlab/formats/json.h"

namespace muonlab::train {

/// CPU model, its SIMD flags, cores, threads, LibTorch, product backend,
/// compiler, SHA-256 of the running program, `argv`.
[[nodiscard]] formats::Json environment(const std::vector<std::string>& argv);

/// "AMD EPYC ..., 2 cores".
[[nodiscard]] std::string machine_line();
/// "muonlab 0.1.0, LibTorch 2.13.0, g++ 12.2.0".
[[nodiscard]] std::string version_line();
/// Largest resident size of this process so far.
[[nodiscard]] double peak_memory_bytes();

}  // namespace muonlab::train
