#include "muonlab/formats/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <set>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/formats/json.h"

namespace muonlab::formats {

static_assert(std::endian::native == std::endian::little,
              "safetensors is little-endian; byte swapping is not written");

namespace {

constexpr std::size_t kMaxHeader = 100'000'000;  // the format's own limit

// Element count times element size, or a negative number on overflow or a
// negative dimension.
std::int64_t checked_size(const std::vector<std::int64_t>& shape,
                          std::size_t element) {
  std::int64_t size = static_cast<std::int64_t>(element);
  for (const std::int64_t d : shape) {
    if (d < 0 || __builtin_mul_overflow(size, d, &size)) return -1;
  }
  return size;
}

[[noreturn]] void corrupt(const std::filesystem::path& path, std::size_t offset,
                          const std::string& what) {
  throw Error(ErrorKind::kCorruptData,
              concat(path.string(), ": at byte ", offset, ": ", what),
              "the file is damaged or not safetensors: write it again with the "
              "command that made it");
}

const std::map<std::string, std::size_t>& element_sizes() {
  static const std::map<std::string, std::size_t> kSizes = {
      {"F64", 8}, {"I64", 8}, {"U64", 8},  {"F32", 4}, {"I32", 4},
      {"U32", 4}, {"F16", 2}, {"BF16", 2}, {"I16", 2}, {"U16", 2},
      {"I8", 1},  {"U8", 1},  {"BOOL", 1}};
  return kSizes;
}

// Of names that come twice, the parser alone would silently keep the last.
Json parse_header(const std::filesystem::path& path, const std::string& text) {
  std::set<std::string> names;
  Json header = Json::parse(
      text, [&](int depth, Json::parse_event_t event, const Json& parsed) {
        if (depth == 1 && event == Json::parse_event_t::key &&
            !names.insert(parsed.get<std::string>()).second) {
          corrupt(path, 8, concat("the header has ", parsed.dump(), " twice"));
        }
        return true;
      });
  if (!header.is_object()) {
    corrupt(path, 8,
            concat("the header is not a safetensors header: got ",
                   header.type_name(), ", expected an object"));
  }
  return header;
}

// The two offsets, or nothing when there are not two whole numbers in order.
std::optional<std::pair<std::size_t, std::size_t>> offsets_of(
    const Json& value) {
  if (!value.is_array() || value.size() != 2 ||
      !value[0].is_number_unsigned() || !value[1].is_number_unsigned()) {
    return std::nullopt;
  }
  const auto first = value[0].get<std::size_t>();
  const auto last = value[1].get<std::size_t>();
  if (first > last) return std::nullopt;
  return std::pair(first, last);
}

}  // namespace

std::size_t safetensors_element_size(const std::string& dtype) {
  const auto found = element_sizes().find(dtype);
  if (found == element_sizes().end()) {
    throw Error(ErrorKind::kUnsupported,
                concat("safetensors: dtype '", dtype, "' is not known here"));
  }
  return found->second;
}

void write_safetensors(const std::filesystem::path& path,
                       std::span<const SafetensorsEntry> entries,
                       const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  Json strings = Json::object();
  strings["format"] = "pt";  // transformers refuses files without it
  for (const auto& [key, value] : metadata) strings[key] = value;
  header["__metadata__"] = strings;
  std::size_t offset = 0;
  for (const SafetensorsEntry& entry : entries) {
    const auto size =
        checked_size(entry.shape, safetensors_element_size(entry.dtype));
    MUONLAB_CHECK(size == static_cast<std::int64_t>(entry.bytes.size()),
                  "safetensors: tensor '", entry.name, "': got ",
                  entry.bytes.size(), " bytes, expected ", size);
    MUONLAB_CHECK(!header.contains(entry.name), "safetensors: tensor '",
                  entry.name, "' is given twice");
    header[entry.name] = {
        {"dtype", entry.dtype},
        {"shape", entry.shape},
        {"data_offsets", {offset, offset + entry.bytes.size()}}};
    offset += entry.bytes.size();
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  const std::uint64_t length = text.size();
  core::AtomicFile file(path);
  file.write(&length, sizeof length);
  file.write(text);
  for (const SafetensorsEntry& entry : entries) {
    file.write(entry.bytes.data(), entry.bytes.size());
  }
  file.commit();
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : content_(core::read_file(path)) {
  if (content_.size() < 8) {
    corrupt(path, 0,
            concat("got a file of ", content_.size(),
                   " bytes, expected an 8-byte header length"));
  }
  std::uint64_t length = 0;
  std::memcpy(&length, content_.data(), sizeof length);
  if (length > kMaxHeader || length > content_.size() - 8) {
    corrupt(path, 0,
            concat("header length ", length, " does not fit a file of ",
                   content_.size(), " bytes"));
  }
  const std::size_t start = 8 + static_cast<std::size_t>(length);
  std::vector<std::pair<std::size_t, std::size_t>> ranges;
  try {
    const Json header = parse_header(path, content_.substr(8, length));
    for (const auto& [name, value] : header.items()) {
      if (name == "__metadata__") {
        metadata_ = value.get<std::map<std::string, std::string>>();
        continue;
      }
      Tensor tensor{.dtype = value.at("dtype").get<std::string>(),
                    .shape = value.at("shape").get<std::vector<std::int64_t>>(),
                    .bytes = {}};
      const auto element = element_sizes().find(tensor.dtype);
      if (element == element_sizes().end()) {
        corrupt(path, 8,
                concat("tensor '", name, "' has the dtype '", tensor.dtype,
                       "', which is not known here"));
      }
      const auto offsets = offsets_of(value.at("data_offsets"));
      if (!offsets.has_value() || offsets->second > content_.size() - start) {
        corrupt(path, start,
                concat("tensor '", name,
                       "' lies outside the file: its offsets are ",
                       value.at("data_offsets").dump(), ", the data have ",
                       content_.size() - start, " bytes"));
      }
      const auto [first, last] = *offsets;
      const std::int64_t size = checked_size(tensor.shape, element->second);
      if (static_cast<std::int64_t>(last - first) != size) {
        corrupt(path, start + first,
                concat("tensor '", name, "' has ", last - first,
                       " bytes, its shape needs ", size));
      }
      tensor.bytes = std::as_bytes(std::span(content_))
                         .subspan(start + first, last - first);
      ranges.emplace_back(first, last);
      tensors_.emplace(name, std::move(tensor));
    }
  } catch (const nlohmann::json::exception& e) {
    corrupt(path, 8,
            concat("the header is not a safetensors header: ", e.what()));
  }
  std::sort(ranges.begin(), ranges.end());
  std::size_t end = 0;
  for (const auto& [first, last] : ranges) {
    if (first != end)
      corrupt(path, start + end, "hole or overlap between tensors");
    end = last;
  }
  if (start + end != content_.size()) {
    corrupt(path, start + end,
            concat("got ", content_.size() - start - end,
                   " bytes after the last tensor, expected none"));
  }
}

}  // namespace muonlab::formats
