#include "muonlab/formats/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <system_error>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"

namespace muonlab::formats {

static_assert(std::endian::native == std::endian::little,
              "GGUF is little-endian; byte swapping is not written");

namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr std::uint32_t kMaxDimensions = 4;  // the format's own limit
constexpr int kMaxNesting = 8;  // nobody nests deeper, and the stack is finite
constexpr std::uint64_t kDefaultAlignment = 32;

struct TensorType {
  std::uint32_t id;
  const char* name;
  std::uint64_t block;  // values that are stored together
  std::uint64_t bytes;  // of a block
};

constexpr std::array<TensorType, 29> kTensorTypes = {{
    {0, "F32", 1, 4},         {1, "F16", 1, 2},
    {2, "Q4_0", 32, 18},      {3, "Q4_1", 32, 20},
    {6, "Q5_0", 32, 22},      {7, "Q5_1", 32, 24},
    {8, "Q8_0", 32, 34},      {9, "Q8_1", 32, 36},
    {10, "Q2_K", 256, 84},    {11, "Q3_K", 256, 110},
    {12, "Q4_K", 256, 144},   {13, "Q5_K", 256, 176},
    {14, "Q6_K", 256, 210},   {15, "Q8_K", 256, 292},
    {16, "IQ2_XXS", 256, 66}, {17, "IQ2_XS", 256, 74},
    {18, "IQ3_XXS", 256, 98}, {19, "IQ1_S", 256, 50},
    {20, "IQ4_NL", 32, 18},   {21, "IQ3_S", 256, 110},
    {22, "IQ2_S", 256, 82},   {23, "IQ4_XS", 256, 136},
    {24, "I8", 1, 1},         {25, "I16", 1, 2},
    {26, "I32", 1, 4},        {27, "I64", 1, 8},
    {28, "F64", 1, 8},        {29, "IQ1_M", 256, 56},
    {30, "BF16", 1, 2},
}};

const TensorType* find_type(std::uint32_t id) {
  const auto found =
      std::find_if(kTensorTypes.begin(), kTensorTypes.end(),
                   [id](const TensorType& type) { return type.id == id; });
  return found == kTensorTypes.end() ? nullptr : &*found;
}

[[noreturn]] void corrupt(const std::filesystem::path& path,
                          const std::string& what) {
  throw Error(ErrorKind::kCorruptData, concat(path.string(), ": ", what),
              "the file is damaged, cut short or not GGUF: fetch it again");
}

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path)
      : stream_(path, std::ios::binary) {
    file_.path = path;
    std::error_code code;
    file_.size = std::filesystem::file_size(path, code);
    if (code) throw_io_error(path, "cannot read", code.value());
    if (!stream_) throw_io_error(path, "cannot read", errno);
  }

  GgufFile read() {
    read_header();
    const auto tensors = number<std::uint64_t>("number of tensors");
    const auto keys = number<std::uint64_t>("number of keys");
    check_count(keys, 8 + 4 + 1, "keys");
    std::set<std::string> names;
    for (std::uint64_t i = 0; i < keys; ++i) {
      const std::uint64_t start = at_;
      std::string key = text("key");
      if (!names.insert(key).second) {
        fail(start, concat("key '", key, "' comes twice"));
      }
      file_.metadata.emplace_back(std::move(key), value());
    }
    check_count(tensors, 8 + 4 + 4 + 8, "tensors");
    names.clear();
    for (std::uint64_t i = 0; i < tensors; ++i) read_tensor(names);
    place_data();
    return std::move(file_);
  }

 private:
  [[noreturn]] void fail(std::uint64_t offset, const std::string& what) const {
    corrupt(file_.path, concat("at byte ", offset, ": ", what));
  }

  void read_header() {
    std::array<char, 4> magic{};
    bytes(magic.data(), magic.size(), "magic");
    if (std::string_view(magic.data(), magic.size()) != kMagic) {
      fail(0, "is not a GGUF file: it does not begin with GGUF");
    }
    file_.version = number<std::uint32_t>("version");
    if (file_.version != 2 && file_.version != 3) {
      throw Error(ErrorKind::kUnsupported,
                  concat(file_.path.string(), ": at byte 4: version: got ",
                         file_.version, ", expected 2 or 3, little-endian"),
                  "convert the file with the tools of llama.cpp");
    }
  }

  void bytes(void* to, std::uint64_t count, std::string_view what) {
    if (count > file_.size - at_) {
      fail(at_, concat(what, ": got ", file_.size - at_,
                       " bytes up to the end of the file, expected ", count));
    }
    stream_.read(static_cast<char*>(to), static_cast<std::streamsize>(count));
    if (!stream_) throw_io_error(file_.path, "cannot read", errno);
    at_ += count;
  }

  template <typename Number>
  Number number(std::string_view what) {
    Number result{};
    bytes(&result, sizeof result, what);
    return result;
  }

  std::string text(std::string_view what) {
    const std::uint64_t start = at_;
    const auto length = number<std::uint64_t>(what);
    if (length > file_.size - at_) {
      fail(start, concat(what, ": length ", length,
                         " does not fit the file of ", file_.size, " bytes"));
    }
    std::string result(static_cast<std::size_t>(length), '\0');
    bytes(result.data(), length, what);
    return result;
  }

  // `each`: the fewest bytes that one takes in the file.
  void check_count(std::uint64_t count, std::uint64_t each,
                   std::string_view what) const {
    if (count > (file_.size - at_) / each) {
      fail(at_, concat("got ", count, " ", what, ", which do not fit the ",
                       file_.size - at_, " bytes that are left"));
    }
  }

  GgufType type() {
    const std::uint64_t start = at_;
    const auto id = number<std::uint32_t>("type of value");
    if (id > static_cast<std::uint32_t>(GgufType::kFloat64)) {
      fail(start, concat("type of value: got ", id, ", expected 0 to 12"));
    }
    return static_cast<GgufType>(id);
  }

  static std::uint64_t size_of(GgufType type) {
    switch (type) {
      case GgufType::kUint8:
      case GgufType::kInt8:
      case GgufType::kBool:
        return 1;
      case GgufType::kUint16:
      case GgufType::kInt16:
        return 2;
      case GgufType::kUint32:
      case GgufType::kInt32:
      case GgufType::kFloat32:
        return 4;
      case GgufType::kString:  // its length alone
      case GgufType::kUint64:
      case GgufType::kInt64:
      case GgufType::kFloat64:
        return 8;
      case GgufType::kArray:  // type and number of elements
        return 12;
    }
    return 1;
  }

  // The scalars, in the widest type of their kind.
  std::uint64_t unsigned_value(GgufType type) {
    switch (type) {
      case GgufType::kUint16:
        return number<std::uint16_t>("value");
      case GgufType::kUint32:
        return number<std::uint32_t>("value");
      case GgufType::kUint64:
        return number<std::uint64_t>("value");
      default:
        break;
    }
    const std::uint64_t start = at_;
    const auto byte = number<std::uint8_t>("value");
    if (type == GgufType::kBool && byte > 1) {
      fail(start, concat("bool: got ", int{byte}, ", expected 0 or 1"));
    }
    return byte;
  }

  std::int64_t signed_value(GgufType type) {
    switch (type) {
      case GgufType::kInt8:
        return number<std::int8_t>("value");
      case GgufType::kInt16:
        return number<std::int16_t>("value");
      case GgufType::kInt32:
        return number<std::int32_t>("value");
      default:
        return number<std::int64_t>("value");
    }
  }

  double float_value(GgufType type) {
    if (type == GgufType::kFloat32) return number<float>("value");
    return number<double>("value");
  }

  // Calls visit(read), where read() gives the next value of `type` in the
  // type that holds it.
  template <typename Visit>
  auto with_reader(GgufType type, int depth, Visit visit) {
    switch (type) {
      case GgufType::kString:
        return visit([this] { return text("string"); });
      case GgufType::kArray:
        return visit([this, depth] { return array(depth + 1); });
      case GgufType::kFloat32:
      case GgufType::kFloat64:
        return visit([this, type] { return float_value(type); });
      case GgufType::kInt8:
      case GgufType::kInt16:
      case GgufType::kInt32:
      case GgufType::kInt64:
        return visit([this, type] { return signed_value(type); });
      default:
        return visit([this, type] { return unsigned_value(type); });
    }
  }

  GgufValue value() {
    GgufValue result;
    result.type = type();
    with_reader(result.type, 0, [&](auto read) { result.value = read(); });
    return result;
  }

  GgufArray array(int depth) {
    if (depth > kMaxNesting) {
      fail(at_, concat("arrays in arrays: got more than ", kMaxNesting));
    }
    GgufArray result;
    result.type = type();
    const auto count = number<std::uint64_t>("number of elements");
    check_count(count, size_of(result.type), "elements");
    with_reader(result.type, depth, [&](auto read) {
      std::vector<decltype(read())> items;
      items.reserve(static_cast<std::size_t>(count));
      for (std::uint64_t i = 0; i < count; ++i) items.push_back(read());
      result.items = std::move(items);
    });
    return result;
  }

  void read_tensor(std::set<std::string>& names) {
    const std::uint64_t start = at_;
    GgufTensor tensor;
    tensor.name = text("name of a tensor");
    if (!names.insert(tensor.name).second) {
      fail(start, concat("tensor '", tensor.name, "' comes twice"));
    }
    const auto dimensions = number<std::uint32_t>("number of dimensions");
    if (dimensions > kMaxDimensions) {
      fail(start, concat("tensor '", tensor.name, "': got ", dimensions,
                         " dimensions, expected at most ", kMaxDimensions));
    }
    for (std::uint32_t i = 0; i < dimensions; ++i) {
      tensor.shape.push_back(number<std::int64_t>("dimension"));
    }
    tensor.type = number<std::uint32_t>("type of a tensor");
    tensor.offset = number<std::uint64_t>("offset of a tensor");
    set_bytes(tensor, start);
    file_.tensors.push_back(std::move(tensor));
  }

  void set_bytes(GgufTensor& tensor, std::uint64_t start) const {
    std::int64_t values = 1;
    for (const std::int64_t size : tensor.shape) {
      if (size < 0 || __builtin_mul_overflow(values, size, &values)) {
        fail(start, concat("tensor '", tensor.name,
                           "': its shape does not fit 64 bits"));
      }
    }
    const TensorType* type = find_type(tensor.type);
    if (type == nullptr) return;
    const auto row =
        static_cast<std::uint64_t>(tensor.shape.empty() ? 1 : tensor.shape[0]);
    std::uint64_t bytes = 0;
    if (row % type->block != 0 ||
        __builtin_mul_overflow(static_cast<std::uint64_t>(values) / type->block,
                               type->bytes, &bytes)) {
      fail(start, concat("tensor '", tensor.name, "': got rows of ", row,
                         " values as ", type->name, ", expected a multiple of ",
                         type->block));
    }
    tensor.bytes = bytes;
  }

  // From offsets in the data to offsets in the file.
  void place_data() {
    std::uint64_t alignment = kDefaultAlignment;
    if (const GgufValue* given = file_.find("general.alignment")) {
      const auto* size = std::get_if<std::uint64_t>(&given->value);
      if (size == nullptr || *size == 0 || *size > file_.size) {
        corrupt(file_.path, concat("general.alignment: got ", given->text(20),
                                   ", expected a number that fits the file"));
      }
      alignment = *size;
    }
    file_.data_start = (at_ + alignment - 1) / alignment * alignment;
    for (GgufTensor& tensor : file_.tensors) {
      if (tensor.offset % alignment != 0 ||
          __builtin_add_overflow(tensor.offset, file_.data_start,
                                 &tensor.offset)) {
        corrupt(file_.path,
                concat("tensor '", tensor.name, "': got offset ", tensor.offset,
                       ", expected a multiple of ", alignment));
      }
    }
  }

  std::ifstream stream_;
  GgufFile file_;
  std::uint64_t at_ = 0;
};

// Shortened between characters: the next byte kept starts one.
std::string shortened(const std::string& text, std::size_t width) {
  std::string line;
  for (const char c : text) line += c == '\n' || c == '\r' ? ' ' : c;
  if (line.size() <= width) return line;
  std::size_t end = width;
  while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0U) == 0x80U) {
    --end;
  }
  return line.substr(0, end) + "...";
}

std::string item_text(const std::string& item) { return item; }
std::string item_text(double item) { return core::shortest(item); }
std::string item_text(std::uint64_t item) { return std::to_string(item); }
std::string item_text(std::int64_t item) { return std::to_string(item); }
std::string item_text(const GgufArray& item) {
  return concat("[", item.size(), "]");
}

}  // namespace

std::size_t GgufArray::size() const {
  return std::visit([](const auto& list) { return list.size(); }, items);
}

std::string GgufValue::text(std::size_t width) const {
  if (const auto* list = std::get_if<GgufArray>(&value)) {
    std::string line;
    std::visit(
        [&](const auto& items) {
          for (const auto& item : items) {
            if (line.size() > width) break;
            if (!line.empty()) line += ", ";
            line += item_text(item);
          }
        },
        list->items);
    return concat(core::grouped(static_cast<std::int64_t>(list->size())), ": ",
                  shortened(line, width));
  }
  if (type == GgufType::kBool) {
    return std::get<std::uint64_t>(value) != 0 ? "true" : "false";
  }
  if (type == GgufType::kFloat32) {
    return core::shortest(static_cast<float>(std::get<double>(value)));
  }
  return std::visit(
      [&](const auto& item) { return shortened(item_text(item), width); },
      value);
}

std::string gguf_type_name(std::uint32_t tensor_type) {
  const TensorType* type = find_type(tensor_type);
  return type == nullptr ? concat("type ", tensor_type) : type->name;
}

const GgufValue* GgufFile::find(std::string_view key) const {
  for (const auto& [name, value] : metadata) {
    if (name == key) return &value;
  }
  return nullptr;
}

const std::string& GgufFile::text(std::string_view key) const {
  const GgufValue* found = find(key);
  const auto* result =
      found == nullptr ? nullptr : std::get_if<std::string>(&found->value);
  if (result == nullptr) corrupt(path, concat("has no string '", key, "'"));
  return *result;
}

const GgufArray& GgufFile::array(std::string_view key) const {
  const GgufValue* found = find(key);
  const auto* result =
      found == nullptr ? nullptr : std::get_if<GgufArray>(&found->value);
  if (result == nullptr) corrupt(path, concat("has no array '", key, "'"));
  return *result;
}

std::string GgufFile::missing() const {
  for (const GgufTensor& tensor : tensors) {
    if (tensor.offset <= size &&
        tensor.bytes.value_or(0) <= size - tensor.offset) {
      continue;
    }
    return concat("tensor '", tensor.name, "' at byte ", tensor.offset,
                  " lies outside the file of ", size, " bytes");
  }
  return "";
}

bool is_gguf(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::array<char, 4> magic{};
  stream.read(magic.data(), magic.size());
  return stream && std::string_view(magic.data(), magic.size()) == kMagic;
}

GgufFile read_gguf(const std::filesystem::path& path) {
  return Reader(path).read();
}

}  // namespace muonlab::formats
