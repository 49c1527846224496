#include "muonlab/linalg/tensor_file.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "muonlab/core/error.h"
#include "muonlab/core/hash.h"
#include "muonlab/formats/safetensors.h"
#include "muonlab/linalg/tensor_view.h"

namespace muonlab::linalg {

namespace {

struct DtypeName {
  at::ScalarType type;
  const char* name;
};
constexpr std::array<DtypeName, 8> kDtypes = {{{at::kDouble, "F64"},
                                               {at::kFloat, "F32"},
                                               {at::kHalf, "F16"},
                                               {at::kBFloat16, "BF16"},
                                               {at::kLong, "I64"},
                                               {at::kInt, "I32"},
                                               {at::kByte, "U8"},
                                               {at::kBool, "BOOL"}}};

std::string dtype_name(at::ScalarType type) {
  for (const DtypeName& known : kDtypes) {
    if (known.type == type) return known.name;
  }
  throw Error(ErrorKind::kUnsupported,
              concat("safetensors: dtype ", c10::toString(type),
                     " has no name in the format"));
}

at::ScalarType dtype_of(const std::string& name) {
  for (const DtypeName& known : kDtypes) {
    if (known.name == name) return known.type;
  }
  throw Error(ErrorKind::kUnsupported,
              concat("safetensors: dtype '", name, "' is not supported"));
}

at::Tensor plain(const at::Tensor& tensor) {
  return tensor.detach().to(at::kCPU).contiguous();
}

}  // namespace

void save_tensors(const std::filesystem::path& path,
                  const NamedTensors& tensors,
                  const std::map<std::string, std::string>& metadata) {
  std::vector<at::Tensor> kept;  // owns the copies until the file is written
  std::vector<formats::SafetensorsEntry> entries;
  for (const auto& [name, tensor] : tensors) {
    kept.push_back(plain(tensor));
    entries.push_back({.name = name,
                       .dtype = dtype_name(tensor.scalar_type()),
                       .shape = tensor.sizes().vec(),
                       .bytes = bytes_of(kept.back())});
  }
  formats::write_safetensors(path, entries, metadata);
}

TensorFile load_tensors(const std::filesystem::path& path) {
  const formats::SafetensorsFile file(path);
  TensorFile loaded;
  loaded.metadata = file.metadata();
  for (const auto& [name, entry] : file.tensors()) {
    at::Tensor tensor = at::empty(
        entry.shape, at::TensorOptions().dtype(dtype_of(entry.dtype)));
    const auto target = mutable_bytes_of(tensor);
    std::copy(entry.bytes.begin(), entry.bytes.end(), target.begin());
    loaded.tensors.emplace(name, tensor);
  }
  return loaded;
}

std::string tensors_sha256(const NamedTensors& tensors) {
  core::Sha256 hash;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor copy = plain(tensor);
    hash.update(concat(name, "|", dtype_name(tensor.scalar_type()), "|",
                       tensor.sizes(), "|"));
    const auto bytes = bytes_of(copy);
    hash.update(bytes.data(), bytes.size());
  }
  return hash.hex();
}

}  // namespace muonlab::linalg
