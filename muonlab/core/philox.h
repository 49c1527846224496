// Counter-based random numbers: Philox4x32-10 (Salmon et al., SC'11,
// "Parallel random numbers: as easy as 1, 2, 3"). A number is a pure function
// of (seed, purpose, step, index), so no generator state is ever saved.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace muonlab::core {

/// One Philox4x32-10 block.
[[nodiscard]] std::array<std::uint32_t, 4> philox4x32(
    std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

/// Random numbers for one (seed, purpose); thread-safe, holds no position.
class Random {
 public:
  /// `purpose` separates uses of one seed: "init", "order", ...
  Random(std::uint64_t seed, std::string_view purpose);

  [[nodiscard]] std::uint64_t bits(std::uint64_t step,
                                   std::uint64_t index) const;
  /// Uniform in [0, 1), 53 bits.
  [[nodiscard]] double uniform(std::uint64_t step, std::uint64_t index) const;
  /// Standard normal (Box-Muller on one block).
  [[nodiscard]] double normal(std::uint64_t step, std::uint64_t index) const;

 private:
  [[nodiscard]] std::array<std::uint32_t, 4> block(std::uint64_t step,
                                                   std::uint64_t index) const;
  std::array<std::uint32_t, 2> key_;
};

}  // namespace muonlab::core
