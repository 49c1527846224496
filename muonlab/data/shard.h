// Token shards in llm.c's format: a header of 256 little-endian int32 words
// (magic, version, number of tokens, zeros), then one little-endian id per
// token. Vocabularies up to 65,536 use magic 20240520, version 1 and two bytes
// per id; larger ones magic 20240801, version 7 and four.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace muonlab::data {

inline constexpr std::size_t kShardHeaderBytes = 1024;

/// What the header says.
struct ShardHeader {
  std::int32_t magic = 0;
  std::int32_t version = 0;
  std::int64_t n_tokens = 0;
  std::size_t bytes_per_token = 0;  ///< 2 or 4
};

/// The shard as bytes. Throws Error(kInvalidArgument) when there are 2^31
/// tokens or more, or an id is outside [0, vocabulary).
[[nodiscard]] std::string encode_shard(std::span<const std::int32_t> tokens,
                                       std::int64_t vocabulary);

/// Writes `encode_shard` atomically and returns the SHA-256 of the file.
/// Throws Error(kIo).
std::string write_shard(const std::filesystem::path& path,
                        std::span<const std::int32_t> tokens,
                        std::int64_t vocabulary);

/// Checks magic, version and that the size fits the number of tokens. Throws
/// Error(kCorruptData): file, byte offset, what was found and expected. `path`
/// is for messages.
[[nodiscard]] ShardHeader check_shard(std::string_view bytes,
                                      const std::filesystem::path& path);

/// The ids of a shard; all checks of `check_shard`, and that every id is below
/// `vocabulary`.
[[nodiscard]] std::vector<std::int32_t> decode_shard(
    std::string_view bytes, const std::filesystem::path& path,
    std::int64_t vocabulary);

/// `decode_shard` on a file. Throws Error(kIo) too.
[[nodiscard]] std::vector<std::int32_t> read_shard(
    const std::filesystem::path& path, std::int64_t vocabulary);

}  // namespace muonlab::data
