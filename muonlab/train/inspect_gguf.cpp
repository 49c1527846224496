#include <map>
#include <string>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/data/gguf_tokenizer.h"
#include "muonlab/formats/gguf.h"
#include "muonlab/train/inspect.h"

namespace muonlab::train {

namespace {

using core::grouped;
using formats::Json;

constexpr std::size_t kShownWidth = 60;

struct TypeCount {
  std::int64_t tensors = 0;
  std::int64_t values = 0;
};

// What the tokenizer is, or why it cannot be used here.
std::string tokenizer_text(const formats::GgufFile& file, Json& json) {
  if (file.find("tokenizer.ggml.model") == nullptr) return "none";
  try {
    const auto tokenizer = data::gguf_tokenizer(file);
    json = {{"usable", true},
            {"vocabulary", tokenizer->vocabulary_size()},
            {"merges", tokenizer->merges().size()},
            {"pre", file.text("tokenizer.ggml.pre")},
            {"missing_bytes", tokenizer->missing_bytes()},
            {"hash", tokenizer->hash()}};
    std::string text =
        concat(grouped(tokenizer->vocabulary_size()), " tokens, ",
               grouped(std::ssize(tokenizer->merges())), " merges, pre ",
               file.text("tokenizer.ggml.pre"), ", separator ",
               tokenizer->separator());
    if (tokenizer->missing_bytes() > 0) {
      text += concat("; ", tokenizer->missing_bytes(),
                     " of the 256 bytes have no token");
    }
    return text;
  } catch (const Error& error) {
    json = {{"usable", false}, {"why", error.what()}};
    return concat("not usable here: ", error.what());
  }
}

}  // namespace

Inspection inspect_gguf(const std::filesystem::path& path) {
  const formats::GgufFile file = formats::read_gguf(path);
  // No table: that would set numbers flush right, far from their keys.
  std::string lines;
  Json metadata = Json::object();
  for (const auto& [key, value] : file.metadata) {
    metadata[key] = value.text(kShownWidth);
    lines += concat("  ", key, ": ", value.text(kShownWidth), "\n");
  }
  std::map<std::string, TypeCount> types;
  Json tensors = Json::array();
  for (const formats::GgufTensor& tensor : file.tensors) {
    const std::string type = formats::gguf_type_name(tensor.type);
    TypeCount& count = types[type];
    ++count.tensors;
    std::int64_t values = 1;
    for (const std::int64_t size : tensor.shape) values *= size;
    count.values += values;
    Json row = {{"name", tensor.name},
                {"dtype", type},
                {"shape", tensor.shape},
                {"offset", tensor.offset}};
    if (tensor.bytes) row["bytes"] = *tensor.bytes;
    tensors.push_back(std::move(row));
  }
  std::vector<std::vector<std::string>> type_rows = {
      {"type", "tensors", "values"}};
  for (const auto& [type, count] : types) {
    type_rows.push_back({type, grouped(count.tensors), grouped(count.values)});
  }
  const std::string missing = file.missing();
  Json tokenizer;
  std::string text = concat(
      "GGUF version ", file.version, ", ",
      core::byte_size(static_cast<double>(file.size)),
      "\ntokenizer: ", tokenizer_text(file, tokenizer), "\n\n", lines, "\n",
      core::aligned_table(type_rows), file.tensors.size(), " tensors; ",
      missing.empty() ? "the file is whole\n"
                      : concat("the file is not whole: ", missing, "\n"));
  return {.text = std::move(text),
          .json = {{"schema", 1},
                   {"format", "gguf"},
                   {"version", file.version},
                   {"whole", missing.empty()},
                   {"missing", missing},
                   {"tokenizer", std::move(tokenizer)},
                   {"metadata", std::move(metadata)},
                   {"tensors", std::move(tensors)}}};
}

}  // namespace muonlab::train
