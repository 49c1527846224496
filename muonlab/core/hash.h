// SHA-256 (FIPS 180-4): identities of files, configurations and documents.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace muonlab::core {

class Sha256 {
 public:
  void update(const void* bytes, std::size_t size);
  void update(std::string_view bytes) { update(bytes.data(), bytes.size()); }
  /// The digest of all bytes so far; the object must not be used afterwards.
  [[nodiscard]] std::array<std::uint8_t, 32> digest();
  /// Same, as 64 lower-case hexadecimal digits.
  [[nodiscard]] std::string hex();

 private:
  void block(const std::uint8_t* bytes);

  std::array<std::uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372,
                                         0xa54ff53a, 0x510e527f, 0x9b05688c,
                                         0x1f83d9ab, 0x5be0cd19};
  std::array<std::uint8_t, 64> buffer_{};
  std::uint64_t length_ = 0;  // bytes
};

[[nodiscard]] std::string sha256_hex(std::string_view bytes);
/// Throws Error(kIo) when the file cannot be read.
[[nodiscard]] std::string sha256_file(const std::filesystem::path& path);
/// The first eight digest bytes as a big-endian number: a uniform 64-bit hash.
[[nodiscard]] std::uint64_t sha256_u64(std::string_view bytes);

}  // namespace muonlab::core
