#include "muonlab/core/philox.h"

#include <cmath>
#include <numbers>
#include <string>

#include "muonlab/core/hash.h"

namespace muonlab::core {

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> c,
                                        std::array<std::uint32_t, 2> k) {
  constexpr std::uint64_t kM0 = 0xD2511F53;
  constexpr std::uint64_t kM1 = 0xCD9E8D57;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = kM0 * c[0];
    const std::uint64_t p1 = kM1 * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k[0],
         static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k[1],
         static_cast<std::uint32_t>(p0)};
    k[0] += 0x9E3779B9;
    k[1] += 0xBB67AE85;
  }
  return c;
}

Random::Random(std::uint64_t seed, std::string_view purpose) {
  const std::uint64_t key =
      sha256_u64(std::to_string(seed) + "/" + std::string(purpose));
  key_ = {static_cast<std::uint32_t>(key),
          static_cast<std::uint32_t>(key >> 32)};
}

std::array<std::uint32_t, 4> Random::block(std::uint64_t step,
                                           std::uint64_t index) const {
  return philox4x32({static_cast<std::uint32_t>(index),
                     static_cast<std::uint32_t>(index >> 32),
                     static_cast<std::uint32_t>(step),
                     static_cast<std::uint32_t>(step >> 32)},
                    key_);
}

std::uint64_t Random::bits(std::uint64_t step, std::uint64_t index) const {
  const auto b = block(step, index);
  return (std::uint64_t{b[1]} << 32) | b[0];
}

double Random::uniform(std::uint64_t step, std::uint64_t index) const {
  return static_cast<double>(bits(step, index) >> 11) * 0x1p-53;
}

double Random::normal(std::uint64_t step, std::uint64_t index) const {
  const auto b = block(step, index);
  const std::uint64_t lo = (std::uint64_t{b[1]} << 32) | b[0];
  const std::uint64_t hi = (std::uint64_t{b[3]} << 32) | b[2];
  // u1 in (0, 1] keeps the logarithm finite.
  const double u1 = static_cast<double>((lo >> 11) + 1) * 0x1p-53;
  const double u2 = static_cast<double>(hi >> 11) * 0x1p-53;
  return std::sqrt(-2.0 * std::log(u1)) * std::cos(2.0 * std::numbers::pi * u2);
}

}  // namespace muonlab::core
