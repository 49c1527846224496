// The instruction sets that the kernels exist for, and the one in use.
#pragma once

#include <span>
#include <string_view>

namespace muonlab::kernels {

/// A higher level has all instructions of the lower ones.
enum class SimdLevel {
  kScalar,      ///< "scalar": what the compiler's target has; the reference
  kAvx2,        ///< "avx2": AVX2 and FMA
  kAvx512,      ///< "avx512": AVX-512 F, BW, DQ and VL
  kAvx512Bf16,  ///< "avx512-bf16": and products of bfloat16
};

[[nodiscard]] std::string_view simd_level_name(SimdLevel level);
/// Throws Error(kInvalidArgument) on another name, with the valid ones.
[[nodiscard]] SimdLevel simd_level_from_name(std::string_view name);

/// What this build holds and this machine can run, lowest first; never empty.
[[nodiscard]] std::span<const SimdLevel> available_simd_levels();
[[nodiscard]] bool is_available(SimdLevel level);

/// The level of every kernel that is called without one: that of the
/// environment variable MUONLAB_SIMD, else the highest available. Chosen once.
/// While the variable names no level, or one this machine cannot run, each
/// call throws Error(kInvalidArgument or kUnsupported) with the valid names.
[[nodiscard]] SimdLevel active_simd_level();

}  // namespace muonlab::kernels
