#include "muonlab/kernels/simd_level.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/names.h"

namespace muonlab::kernels {

namespace {

constexpr const char* kVariable = "MUONLAB_SIMD";

constexpr std::array<core::Named<SimdLevel>, 4> kLevels = {
    {{SimdLevel::kScalar, "scalar"},
     {SimdLevel::kAvx2, "avx2"},
     {SimdLevel::kAvx512, "avx512"},
     {SimdLevel::kAvx512Bf16, "avx512-bf16"}}};

std::string join(const std::vector<std::string>& names) {
  std::string joined;
  for (const std::string& name : names) {
    joined += (joined.empty() ? "" : ", ") + name;
  }
  return joined;
}

// The built-in also asks whether the system saves the wider registers.
bool machine_has([[maybe_unused]] SimdLevel level) {
#ifdef MUONLAB_KERNELS_X86
  const bool avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  switch (level) {
    case SimdLevel::kScalar:
      return true;
    case SimdLevel::kAvx2:
      return avx2;
    case SimdLevel::kAvx512:
      return avx512;
    case SimdLevel::kAvx512Bf16:
      return avx512 && __builtin_cpu_supports("avx512bf16");
  }
#endif
  return level == SimdLevel::kScalar;
}

std::string available_names() {
  std::vector<std::string> names;
  for (const SimdLevel level : available_simd_levels()) {
    names.emplace_back(simd_level_name(level));
  }
  return join(names);
}

SimdLevel choose() {
  const char* const wanted = std::getenv(kVariable);
  if (wanted == nullptr || *wanted == '\0') {
    return available_simd_levels().back();
  }
  const std::string_view name = wanted;
  const auto* const entry =
      std::ranges::find(kLevels, name, &core::Named<SimdLevel>::name);
  if (entry == kLevels.end()) {
    throw Error(
        ErrorKind::kInvalidArgument,
        concat(kVariable, ": got '", name, "', expected ", available_names()));
  }
  if (!is_available(entry->value)) {
    throw Error(ErrorKind::kUnsupported,
                concat(kVariable, ": got '", name,
                       "', which this machine or build lacks, expected ",
                       available_names()));
  }
  return entry->value;
}

}  // namespace

std::string_view simd_level_name(SimdLevel level) {
  return core::name_in<SimdLevel>(kLevels, level);
}

SimdLevel simd_level_from_name(std::string_view name) {
  for (const core::Named<SimdLevel>& entry : kLevels) {
    if (entry.name == name) return entry.value;
  }
  throw Error(ErrorKind::kInvalidArgument,
              concat("SIMD level: got '", name, "', expected ",
                     join(core::names_in<SimdLevel>(kLevels))));
}

std::span<const SimdLevel> available_simd_levels() {
  static const std::vector<SimdLevel> kAvailable = [] {
    std::vector<SimdLevel> levels;
    for (const core::Named<SimdLevel>& entry : kLevels) {
      if (machine_has(entry.value)) levels.push_back(entry.value);
    }
    return levels;
  }();
  return kAvailable;
}

bool is_available(SimdLevel level) {
  return std::ranges::find(available_simd_levels(), level) !=
         available_simd_levels().end();
}

SimdLevel active_simd_level() {
  // A static whose initialisation throws is tried again at the next call.
  static const SimdLevel kActive = choose();
  return kActive;
}

}  // namespace muonlab::kernels
