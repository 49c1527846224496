#include "muonlab/linalg/tensor_file.h"

#include <torch/torch.h>

#include <array>
#include <set>
#include <string>

#include "muonlab/linalg/roles.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace muonlab::linalg {
namespace {

using testing::expect_error;
using testing::random_tensor;
using testing::same_bits;
using testing::TemporaryFolder;

TEST(TensorFile, KeepsEveryDtypeShapeAndBit) {
  const TemporaryFolder folder;
  const at::Tensor x = random_tensor({3, 5}, 1) * 40;
  NamedTensors tensors;
  for (const at::ScalarType type :
       {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt,
        at::kByte, at::kBool}) {
    tensors.emplace_back(c10::toString(type), x.abs().to(type));
  }
  tensors.emplace_back("scalar", torch::tensor(2.5));
  tensors.emplace_back("empty", torch::zeros({0, 4}));
  tensors.emplace_back("view", x.t());
  tensors.emplace_back("non-finite",
                       torch::tensor({NAN, INFINITY, -INFINITY, -0.0F}));
  save_tensors(folder / "x.safetensors", tensors, {{"answer", "42"}});

  const TensorFile file = load_tensors(folder / "x.safetensors");
  EXPECT_EQ(file.metadata.at("answer"), "42");
  ASSERT_EQ(file.tensors.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    EXPECT_TRUE(same_bits(file.tensors.at(name), tensor)) << name;
  }
}

TEST(TensorFile, LoadedTensorsOutliveTheFile) {
  at::Tensor loaded;
  const at::Tensor x = random_tensor({100}, 2);
  {
    const TemporaryFolder folder;
    save_tensors(folder / "x", {{"x", x}});
    loaded = load_tensors(folder / "x").tensors.at("x");
  }
  EXPECT_TRUE(same_bits(loaded, x));
}

TEST(TensorFile, RefusesWhatTheFormatHasNoNameFor) {
  const TemporaryFolder folder;
  expect_error(ErrorKind::kUnsupported, {"ComplexDouble"}, [&] {
    save_tensors(folder / "x", {{"z", torch::zeros({1}, at::kComplexDouble)}});
  });
  expect_error(ErrorKind::kIo, {"missing"},
               [&] { (void)load_tensors(folder / "missing"); });
}

TEST(TensorsSha256, ChangesWithEveryByteNameDtypeShapeAndOrder) {
  const at::Tensor x = random_tensor({2, 3}, 3);
  std::set<std::string> hashes;
  std::size_t variants = 0;
  const auto add = [&](const NamedTensors& tensors) {
    hashes.insert(tensors_sha256(tensors));
    ++variants;
  };
  add({{"x", x}});
  const std::size_t size = bytes_of(x).size();
  for (std::size_t i = 0; i < size; ++i) {
    at::Tensor changed = x.clone();
    mutable_bytes_of(changed)[i] ^= std::byte{1};
    add({{"x", changed}});
  }
  add({{"y", x}});
  add({{"x", x.view({3, 2})}});
  add({{"x", x.view(at::kLong)}});
  add({{"x", x}, {"y", x + 1}});
  add({{"y", x + 1}, {"x", x}});
  add({});
  EXPECT_EQ(hashes.size(), variants);
  EXPECT_EQ(tensors_sha256({{"x", x}}), tensors_sha256({{"x", x.clone()}}));
  EXPECT_EQ(tensors_sha256({{"x", x.t()}}),
            tensors_sha256({{"x", x.t().contiguous()}}));
}

TEST(TensorView, RefusesWhatIsNotPlainMemory) {
  constexpr auto kKind = ErrorKind::kInvalidArgument;
  expect_error(kKind, {"undefined"}, [] { (void)bytes_of(at::Tensor()); });
  const at::Tensor x = random_tensor({2, 3}, 4);
  expect_error(kKind, {"not contiguous"}, [&] { (void)bytes_of(x.t()); });
  at::Tensor column = x.select(1, 0);
  expect_error(kKind, {"not contiguous"},
               [&] { (void)mutable_bytes_of(column); });
  expect_error(kKind, {"meta", "expected one on the CPU"}, [] {
    (void)bytes_of(torch::zeros({2}, torch::TensorOptions().device(at::kMeta)));
  });
}

TEST(TensorView, BytesAreTheTensorsOwn) {
  at::Tensor x = torch::zeros({2}, torch::kFloat);
  const auto bytes = mutable_bytes_of(x);
  ASSERT_EQ(bytes.size(), 8U);
  bytes[7] = std::byte{0x40};  // 2.0F is 40 00 00 00, least byte first
  EXPECT_EQ(x[1].item<float>(), 2.0F);
  EXPECT_EQ(x[0].item<float>(), 0.0F);
}

TEST(TensorView, CopiesValuesBothWays) {
  const std::array<std::int64_t, 3> numbers = {1, -2, std::int64_t{1} << 60};
  const at::Tensor longs = tensor_of(std::span<const std::int64_t>(numbers));
  EXPECT_EQ(longs.scalar_type(), at::kLong);
  EXPECT_EQ(longs[2].item<std::int64_t>(), std::int64_t{1} << 60);
  const std::array<double, 2> reals = {0.1, -3};
  EXPECT_EQ(values_of(tensor_of(std::span<const double>(reals))),
            (std::vector<double>{0.1, -3}));
  EXPECT_EQ(values_of(torch::tensor({{1, 2}, {3, 4}}).t()),
            (std::vector<double>{1, 3, 2, 4}));
  EXPECT_EQ(tensor_of(std::span<const double>()).numel(), 0);
  EXPECT_TRUE(values_of(torch::zeros({0})).empty());
}

TEST(RoleName, IsDifferentForEveryRole) {
  std::set<std::string_view> names;
  for (const Role role : {Role::kMatrix, Role::kConvKernel, Role::kEmbedding,
                          Role::kHead, Role::kGain, Role::kBias}) {
    names.insert(role_name(role));
  }
  EXPECT_EQ(names.size(), 6U);
  EXPECT_EQ(names.count("?"), 0U);
}

}  // namespace
}  // namespace muonlab::linalg
