#include "muonlab/data/shard.h"

#include <limits>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/core/hash.h"

namespace muonlab::data {

namespace {

struct Format {
  std::int32_t magic;
  std::int32_t version;
  std::size_t bytes_per_token;
};

constexpr Format kNarrow = {20240520, 1, 2};
constexpr Format kWide = {20240801, 7, 4};
constexpr std::int64_t kNarrowVocabulary = 65536;

// Little-endian by hand: the same on every machine.
std::uint32_t load(std::string_view bytes, std::size_t offset,
                   std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value |= static_cast<std::uint32_t>(
                 static_cast<unsigned char>(bytes[offset + i]))
             << (8 * i);
  }
  return value;
}

void store(std::string& bytes, std::uint32_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    bytes.push_back(static_cast<char>((value >> (8 * i)) & 0xFFU));
  }
}

[[noreturn]] void corrupt(const std::filesystem::path& path, std::size_t offset,
                          const std::string& what) {
  throw Error(ErrorKind::kCorruptData,
              concat(path.string(), ": byte ", offset, ": ", what),
              "the file is damaged or not a token shard: write it again with "
              "`muonlab data prepare CORPUS --out DIR --force`");
}

}  // namespace

std::string encode_shard(std::span<const std::int32_t> tokens,
                         std::int64_t vocabulary) {
  MUONLAB_CHECK(tokens.size() <= static_cast<std::size_t>(
                                     std::numeric_limits<std::int32_t>::max()),
                "shard: tokens: got ", tokens.size(), ", expected below 2^31");
  const Format& format = vocabulary <= kNarrowVocabulary ? kNarrow : kWide;
  std::string bytes;
  bytes.reserve(kShardHeaderBytes + tokens.size() * format.bytes_per_token);
  store(bytes, static_cast<std::uint32_t>(format.magic), 4);
  store(bytes, static_cast<std::uint32_t>(format.version), 4);
  store(bytes, static_cast<std::uint32_t>(tokens.size()), 4);
  bytes.resize(kShardHeaderBytes, '\0');
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    MUONLAB_CHECK(tokens[i] >= 0 && tokens[i] < vocabulary, "shard: token ", i,
                  ": got id ", tokens[i], ", expected 0 to ", vocabulary - 1);
    store(bytes, static_cast<std::uint32_t>(tokens[i]), format.bytes_per_token);
  }
  return bytes;
}

std::string write_shard(const std::filesystem::path& path,
                        std::span<const std::int32_t> tokens,
                        std::int64_t vocabulary) {
  const std::string bytes = encode_shard(tokens, vocabulary);
  core::write_file(path, bytes);
  return core::sha256_hex(bytes);
}

ShardHeader check_shard(std::string_view bytes,
                        const std::filesystem::path& path) {
  if (bytes.size() < kShardHeaderBytes) {
    corrupt(path, bytes.size(),
            concat("file ends inside the header: got ", bytes.size(),
                   " bytes, expected at least ", kShardHeaderBytes));
  }
  const auto word = [bytes](std::size_t i) {
    return static_cast<std::int32_t>(load(bytes, 4 * i, 4));
  };
  const std::int32_t magic = word(0);
  if (magic != kNarrow.magic && magic != kWide.magic) {
    corrupt(path, 0,
            concat("magic: got ", magic, ", expected ", kNarrow.magic, " or ",
                   kWide.magic));
  }
  const Format& format = magic == kNarrow.magic ? kNarrow : kWide;
  if (word(1) != format.version) {
    corrupt(path, 4,
            concat("version: got ", word(1), ", expected ", format.version));
  }
  const std::int64_t n_tokens = word(2);
  if (n_tokens < 0) {
    corrupt(path, 8,
            concat("number of tokens: got ", n_tokens, ", expected 0 or more"));
  }
  const std::size_t expected =
      kShardHeaderBytes +
      static_cast<std::size_t>(n_tokens) * format.bytes_per_token;
  if (bytes.size() != expected) {
    corrupt(path, bytes.size() < expected ? bytes.size() : expected,
            concat("file size: got ", bytes.size(), " bytes, expected ",
                   expected, " for ", n_tokens, " tokens"));
  }
  return {magic, format.version, n_tokens, format.bytes_per_token};
}

std::vector<std::int32_t> decode_shard(std::string_view bytes,
                                       const std::filesystem::path& path,
                                       std::int64_t vocabulary) {
  const ShardHeader header = check_shard(bytes, path);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(header.n_tokens));
  std::size_t offset = kShardHeaderBytes;
  for (std::int32_t& token : tokens) {
    const std::uint32_t id = load(bytes, offset, header.bytes_per_token);
    if (id >= vocabulary) {
      corrupt(path, offset,
              concat("token id: got ", id, ", expected 0 to ", vocabulary - 1));
    }
    token = static_cast<std::int32_t>(id);
    offset += header.bytes_per_token;
  }
  return tokens;
}

std::vector<std::int32_t> read_shard(const std::filesystem::path& path,
                                     std::int64_t vocabulary) {
  return decode_shard(core::read_file(path), path, vocabulary);
}

}  // namespace muonlab::data
