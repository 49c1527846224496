// GGUF files, versions 2 and 3: typed metadata and a table of tensors
// (github.com/ggml-org/ggml, docs/gguf.md). Tensor data are not read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace muonlab::formats {

/// The numbers that the format gives to types of values.
enum class GgufType : std::uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

/// Elements of one type. Integers are widened to 64 bits, floats to double;
/// a bool is 0 or 1 among the unsigned ones.
struct GgufArray {
  GgufType type = GgufType::kUint8;
  std::variant<std::vector<std::uint64_t>, std::vector<std::int64_t>,
               std::vector<double>, std::vector<std::string>,
               std::vector<GgufArray>>
      items;

  [[nodiscard]] std::size_t size() const;
};

struct GgufValue {
  GgufType type = GgufType::kUint8;
  std::variant<std::uint64_t, std::int64_t, double, std::string, GgufArray>
      value;

  /// For people: strings and arrays shortened to about `width` characters.
  [[nodiscard]] std::string text(std::size_t width) const;
};

struct GgufTensor {
  std::string name;
  std::vector<std::int64_t> shape;  ///< as stored: the fastest dimension first
  std::uint32_t type = 0;           ///< of the format's table
  std::uint64_t offset = 0;         ///< from the start of the file
  std::optional<std::uint64_t> bytes;  ///< nothing for a type not known here
};

/// "Q4_1"; "type 99" for one that is not known here.
[[nodiscard]] std::string gguf_type_name(std::uint32_t tensor_type);

struct GgufFile {
  std::filesystem::path path;
  std::uint32_t version = 0;
  std::uint64_t size = 0;        ///< bytes of the file
  std::uint64_t data_start = 0;  ///< of the tensors' data
  std::vector<std::pair<std::string, GgufValue>> metadata;  ///< as in the file
  std::vector<GgufTensor> tensors;

  /// Null when there is none.
  [[nodiscard]] const GgufValue* find(std::string_view key) const;
  /// These throw Error(kCorruptData), with file and key, when there is none or
  /// one of another type.
  [[nodiscard]] const std::string& text(std::string_view key) const;
  [[nodiscard]] const GgufArray& array(std::string_view key) const;
  /// Says which tensor's data end behind the end of the file; empty when the
  /// file is whole, as far as the types are known here.
  [[nodiscard]] std::string missing() const;
};

/// Whether the file begins as GGUF files do; false for one that cannot be read.
[[nodiscard]] bool is_gguf(const std::filesystem::path& path);

/// Reads all but the tensors' data. Every length is held against the size of
/// the file before memory is taken for it. Throws Error(kIo), and
/// Error(kCorruptData) with the byte offset; kUnsupported for another version.
[[nodiscard]] GgufFile read_gguf(const std::filesystem::path& path);

}  // namespace muonlab::formats
