// What JITLink asks of a memory manager, and what codeslab's makes of it: graphs made by hand, at every stage and in every order, and real
// code through LLJIT. A line for each behaviour, `ok NAME` or `FAILED NAME`. The arguments are linked.cpp, compiled with -fPIE, and low.c,
// compiled with -fno-pie.

#include "lljit.h"
#include "support.h"

#include <llvm/Support/TargetSelect.h>

#include <thread>

using namespace llvm;
using namespace llvm::jitlink;
using namespace llvm::orc;
using Manager = codeslab::JITLinkMemoryManager;

static const MemProt RX = MemProt::Read | MemProt::Exec;
static const MemProt RO = MemProt::Read;
static const MemProt RW = MemProt::Read | MemProt::Write;

// mov eax, 42; ret
static const char Answer[] = {'\xb8', 42, 0, 0, 0, '\xc3'};

static Block &content(LinkGraph &G, const char *Name, MemProt Protection, ArrayRef<char> Bytes, uint64_t Align,
                      MemLifetime Lifetime = MemLifetime::Standard) {
  Section &S = G.createSection(Name, Protection);
  S.setMemLifetime(Lifetime);
  return G.createContentBlock(S, Bytes, ExecutorAddr(), Align, 0);
}

static int call(const Block &B) { return B.getAddress().toPtr<int (*)()>()(); }

static void segmentsGoWhereTheirProtectionIs() {
  auto M = cantFail(Manager::create());
  auto G = graph("segments");
  Block &Text = content(*G, ".text", RX, Answer, 16);
  Block &Table = content(*G, ".rodata", RO, ArrayRef<char>("table", 5), 32);
  Block &Data = content(*G, ".data", RW, ArrayRef<char>("state", 5), 8);
  Section &Zero = G->createSection(".bss", RW);
  Block &Bss = G->createZeroFillBlock(Zero, 1 << 20, ExecutorAddr(), 64, 0);
  auto InFlight = cantFail(M->allocate(nullptr, *G));
  EXPECT(stats(*M).in_flight == 1);
  auto Done = cantFail(InFlight->finalize());
  EXPECT(call(Text) == 42);
  EXPECT(std::memcmp(Table.getAddress().toPtr<char *>(), "table", 5) == 0 && Table.getAddress().getValue() % 32 == 0);
  EXPECT(std::memcmp(Data.getAddress().toPtr<char *>(), "state", 5) == 0);
  const char *Zeros = Bss.getAddress().toPtr<char *>();
  EXPECT(Zeros[0] == 0 && Zeros[(1 << 20) - 1] == 0 && Bss.getAddress().getValue() % 64 == 0);
  Data.getAddress().toPtr<char *>()[0] = 'S';
  for (Block *B : {&Text, &Table, &Data, &Bss})
    for (Block *Other : {&Text, &Table, &Data, &Bss})
      EXPECT(B->getAddress() - Other->getAddress() + (1ll << 31) < 1ull << 32);
  cantFail(M->deallocate(std::move(Done)));
  EXPECT(stats(*M).used_bytes == 0);
}

static void zeroFillOfCodeAndConstantsIsZero() {
  auto M = cantFail(Manager::create());
  for (int Round = 0; Round < 2; ++Round) { // The second time in memory that held something.
    auto G = graph("zero");
    content(*G, ".text", RX, Answer, 16);
    Section &Constants = G->createSection(".zero", RO);
    Block &Zero = G->createZeroFillBlock(Constants, 5000, ExecutorAddr(), 16, 0);
    auto Done = cantFail(cantFail(M->allocate(nullptr, *G))->finalize());
    const char *Bytes = Zero.getAddress().toPtr<char *>();
    EXPECT(std::all_of(Bytes, Bytes + 5000, [](char Byte) { return Byte == 0; }));
    cantFail(M->deallocate(std::move(Done)));
  }
}

static void whatIsNeededForFinalizationGoesAfterTheActions() {
  auto M = cantFail(Manager::create());
  auto G = graph("finalize");
  Block &Text = content(*G, ".text", RX, Answer, 16);
  Block &Early = content(*G, ".init", RX, Answer, 16, MemLifetime::Finalize);
  Block &Bytes = content(*G, ".arguments", RW, ArrayRef<char>("bytes", 5), 8, MemLifetime::Finalize);
  Log.clear();
  G->allocActions().push_back({action("replaced"), {}});
  auto InFlight = cantFail(M->allocate(nullptr, *G));
  // The action calls code that is there until it was called; only now its address is known.
  G->allocActions().front().Finalize = callAction(Early.getAddress());
  EXPECT(Early.getAddress() - Text.getAddress() + (1ll << 31) < 1ull << 32);
  auto Done = cantFail(InFlight->finalize());
  EXPECT(Log == std::vector<std::string>{"called 42"});
  codeslab_found Found;
  EXPECT(codeslab_find(M->memory(), Early.getAddress().getValue(), &Found) == CODESLAB_OK && Found.size == 0);
  EXPECT(codeslab_find(M->memory(), Bytes.getAddress().getValue(), &Found) == CODESLAB_OK && Found.size == 0);
  EXPECT(call(Text) == 42 && stats(*M).live == 1);
  cantFail(M->deallocate(std::move(Done)));
  EXPECT(stats(*M).live == 0);
}

static void segmentsWithoutAGraphMayBeNeededForFinalizationToo() {
  auto M = cantFail(Manager::create());
  AllocGroup Text(RX), Early(RX, MemLifetime::Finalize), Arguments(RW, MemLifetime::Finalize);
  SimpleSegmentAlloc::SegmentMap Segments{{Text, {sizeof Answer, Align(16)}},
                                          {Early, {sizeof Answer, Align(64)}},
                                          {Arguments, {5000, Align(8)}}};
#if LLVM_VERSION_MAJOR >= 20
  auto Symbols = std::make_shared<SymbolStringPool>();
  auto Placed = cantFail(SimpleSegmentAlloc::Create(*M, Symbols, Triple("x86_64-unknown-linux-gnu"), nullptr, Segments));
#else
  auto Placed = cantFail(SimpleSegmentAlloc::Create(*M, nullptr, Segments));
#endif
  for (AllocGroup Group : {Text, Early})
    std::memcpy(Placed.getSegInfo(Group).WorkingMem.data(), Answer, sizeof Answer);
  uint64_t At[3] = {Placed.getSegInfo(Text).Addr.getValue(), Placed.getSegInfo(Early).Addr.getValue(),
                    Placed.getSegInfo(Arguments).Addr.getValue()};
  EXPECT(At[1] % 64 == 0 && At[0] - At[1] + (1ll << 31) < 1ull << 32 && At[0] - At[2] + (1ll << 31) < 1ull << 32);
  EXPECT(stats(*M).used_bytes >= 5000);
  auto Done = cantFail(Placed.finalize());
  EXPECT(ExecutorAddr(At[0]).toPtr<int (*)()>()() == 42 && stats(*M).live == 1);
  codeslab_found Found;
  for (uint64_t Gone : {At[1], At[2]})
    EXPECT(codeslab_find(M->memory(), Gone, &Found) == CODESLAB_OK && Found.size == 0);
  cantFail(M->deallocate(std::move(Done)));
  EXPECT(stats(*M).used_bytes == 0);
}

static void onlyNeededForFinalizationIsAnAllocationToo() {
  auto M = cantFail(Manager::create());
  auto G = graph("only-finalize");
  content(*G, ".init", RX, Answer, 16, MemLifetime::Finalize);
  auto Done = cantFail(cantFail(M->allocate(nullptr, *G))->finalize());
  EXPECT(stats(*M).used_bytes == 0);
  cantFail(M->deallocate(std::move(Done)));
}

static void whatIsNotAllocatedIsLeftAlone() {
  auto M = cantFail(Manager::create());
  auto G = graph("no-alloc");
  content(*G, ".text", RX, Answer, 16);
  Block &Debug = content(*G, ".debug", RO, ArrayRef<char>("debug", 5), 1, MemLifetime::NoAlloc);
  auto Done = cantFail(cantFail(M->allocate(nullptr, *G))->finalize());
  EXPECT(Debug.getAddress().getValue() == 0 && stats(*M).used_bytes == 16);
  cantFail(M->deallocate(std::move(Done)));
}

static void graphsOfNothingTakeNothing() {
  auto M = cantFail(Manager::create());
  auto G = graph("nothing");
  content(*G, ".empty", RX, ArrayRef<char>(Answer, size_t(0)), 16);
  Log.clear();
  G->allocActions().push_back({action("made"), action("undone")});
  auto Done = cantFail(cantFail(M->allocate(nullptr, *G))->finalize());
  EXPECT(stats(*M).used_bytes == 0);
  cantFail(M->deallocate(std::move(Done)));
  EXPECT(Log == std::vector<std::string>{"made", "undone"});
}

static void actionsThatFailAreUndoneLastFirst() {
  auto M = cantFail(Manager::create());
  auto G = graph("rollback");
  content(*G, ".text", RX, Answer, 16);
  content(*G, ".init", RX, Answer, 16, MemLifetime::Finalize);
  Log.clear();
  G->allocActions().push_back({action("one"), action("undo one")});
  G->allocActions().push_back({action("two"), action("undo two")});
  G->allocActions().push_back({action("fail"), action("undo three")});
  auto InFlight = cantFail(M->allocate(nullptr, *G));
  auto Done = InFlight->finalize();
  EXPECT(!Done && toString(Done.takeError()).find("as asked") != std::string::npos);
  EXPECT(Log == std::vector<std::string>{"one", "two", "fail", "undo two", "undo one"});
  EXPECT(stats(*M).used_bytes == 0 && stats(*M).live == 0);
}

static void manyAreDeallocatedAtOnceTheLastFirst() {
  auto M = cantFail(Manager::create());
  std::vector<Manager::FinalizedAlloc> All;
  std::vector<std::unique_ptr<LinkGraph>> Graphs;
  Log.clear();
  for (const char *Name : {"first", "second", "third"}) {
    Graphs.push_back(graph(Name));
    content(*Graphs.back(), ".text", RX, Answer, 16);
    Graphs.back()->allocActions().push_back({{}, action(Name)});
    All.push_back(cantFail(cantFail(M->allocate(nullptr, *Graphs.back()))->finalize()));
  }
  bool Called = false;
  M->deallocate(std::move(All), [&](Error Failed) {
    cantFail(std::move(Failed));
    Called = true;
  });
  EXPECT(Called && Log == (std::vector<std::string>{"third", "second", "first"}) && stats(*M).live == 0);
  // An action that fails keeps no memory.
  auto G = graph("failing");
  content(*G, ".text", RX, Answer, 16);
  G->allocActions().push_back({{}, action("fail")});
  auto Failed = M->deallocate(cantFail(cantFail(M->allocate(nullptr, *G))->finalize()));
  EXPECT(toString(std::move(Failed)).find("as asked") != std::string::npos && stats(*M).live == 0);
}

static void abandonedIsGivenBack() {
  auto M = cantFail(Manager::create());
  auto G = graph("abandoned");
  content(*G, ".text", RX, Answer, 16);
  content(*G, ".init", RX, Answer, 16, MemLifetime::Finalize);
  auto InFlight = cantFail(M->allocate(nullptr, *G));
  bool Called = false;
  InFlight->abandon([&](Error Failed) {
    cantFail(std::move(Failed));
    Called = true;
  });
  EXPECT(Called && stats(*M).used_bytes == 0 && stats(*M).in_flight == 0);
  auto Again = graph("dropped");
  content(*Again, ".text", RX, Answer, 16);
  cantFail(M->allocate(nullptr, *Again)).reset();
  EXPECT(stats(*M).used_bytes == 0);
}

static void whatCannotBeHadIsAnErrorWithItsName() {
  codeslab::Options Small;
  Small.Memory.max_committed = 1 << 20;
  auto M = cantFail(Manager::create(Small));
  auto G = graph("large");
  Section &Zero = G->createSection(".bss", RW);
  G->createZeroFillBlock(Zero, 64 << 20, ExecutorAddr(), 64, 0);
  auto Refused = M->allocate(nullptr, *G);
  EXPECT(!Refused);
  handleAllErrors(Refused.takeError(), [](const codeslab::MemoryError &Why) {
    EXPECT(Why.status() == CODESLAB_COMMIT_BUDGET && Why.code() == "COMMIT_BUDGET");
  });
  auto Both = graph("writable-code");
  content(*Both, ".text", RX | MemProt::Write, Answer, 16);
  auto Writable = M->allocate(nullptr, *Both);
  EXPECT(!Writable);
  handleAllErrors(Writable.takeError(),
                  [](const codeslab::MemoryError &Why) { EXPECT(Why.status() == CODESLAB_WRITABLE_CODE); });
  codeslab::Options Wrong;
  Wrong.Memory.writer = 77;
  auto None = Manager::create(Wrong);
  EXPECT(!None && toString(None.takeError()).find("writer") != std::string::npos);
  EXPECT(stats(*M).used_bytes == 0);
}

/// A function of the program, which is far from the C library.
extern "C" void ofTheProgram() {}

static void whatCannotBeNearEverythingGoesAnywhere() {
  auto M = cantFail(Manager::create());
  auto G = graph("far");
  Block &Text = content(*G, ".text", RX, Answer, 16);
  for (const char *Name : {"stderr", "ofTheProgram"}) {
    uint64_t At;
    EXPECT(codeslab_process_symbol(Name, &At) == CODESLAB_OK);
    Text.addEdge(x86_64::Delta32, 0, G->addExternalSymbol(Name, 0, false), 0);
  }
  auto Done = cantFail(cantFail(M->allocate(nullptr, *G))->finalize());
  EXPECT(call(Text) == 42);
  cantFail(M->deallocate(std::move(Done)));
}

static void everyStepMayHappenInAnotherThread() {
  auto M = cantFail(Manager::create());
  auto G = graph("steps");
  Block &Text = content(*G, ".text", RX, Answer, 16);
  content(*G, ".init", RX, Answer, 16, MemLifetime::Finalize);
  std::unique_ptr<Manager::InFlightAlloc> InFlight;
  std::vector<Manager::FinalizedAlloc> Done;
  int Steps = 0;
  auto Elsewhere = [](auto Step) { std::thread(Step).join(); };
  Elsewhere([&] {
    M->allocate(nullptr, *G, [&](auto Placed) { InFlight = cantFail(std::move(Placed)), ++Steps; });
  });
  Elsewhere([&] {
    InFlight->finalize([&](auto Finalized) { Done.push_back(cantFail(std::move(Finalized))), ++Steps; });
  });
  EXPECT(Steps == 2 && call(Text) == 42);
  Elsewhere([&] {
    M->deallocate(std::move(Done), [&](Error Failed) { cantFail(std::move(Failed)), ++Steps; });
  });
  EXPECT(Steps == 3 && stats(*M).live == 0 && stats(*M).used_bytes == 0);
}

static void allocationsOutliveTheManager() {
  auto M = cantFail(Manager::create());
  auto G = graph("outlives");
  Block &Text = content(*G, ".text", RX, Answer, 16);
  auto Done = cantFail(cantFail(M->allocate(nullptr, *G))->finalize());
  M = cantFail(Manager::create());
  EXPECT(call(Text) == 42);
  cantFail(M->deallocate(std::move(Done))); // Any manager gives it back.
}

static void threadsLinkInOneMemory() {
  auto M = cantFail(Manager::create());
  std::vector<std::thread> Threads;
  for (int Thread = 0; Thread < 4; ++Thread)
    Threads.emplace_back([&] {
      for (int Round = 0; Round < 500; ++Round) {
        auto G = graph("thread");
        Block &Text = content(*G, ".text", RX, Answer, 16);
        content(*G, ".data", RW, Answer, 16);
        auto Done = cantFail(cantFail(M->allocate(nullptr, *G))->finalize());
        EXPECT(call(Text) == 42);
        cantFail(M->deallocate(std::move(Done)));
      }
    });
  for (std::thread &Thread : Threads)
    Thread.join();
  EXPECT(stats(*M).live == 0 && stats(*M).used_bytes == 0);
}

static void intermediateCodeIsCompiledAndCalled() {
  auto JIT = jit();
  cantFail(JIT->addIRModule(module(counter("one", ""))));
  cantFail(JIT->addIRModule(module(counter("two", "one"))));
  EXPECT(cantFail(JIT->lookup("two")).toPtr<int (*)()>()() == 84);
  auto &M = static_cast<Manager &>(JIT->getExecutionSession().getExecutorProcessControl().getMemMgr());
  EXPECT(stats(M).live >= 2);
  // What is removed is given back.
  auto Tracker = JIT->getMainJITDylib().createResourceTracker();
  uint64_t Before = stats(M).live;
  cantFail(JIT->addIRModule(Tracker, module(counter("three", ""))));
  EXPECT(cantFail(JIT->lookup("three")).toPtr<int (*)()>()() == 42 && stats(M).live > Before);
  cantFail(Tracker->remove());
  EXPECT(stats(M).live == Before);
}

static void everythingOfAJitDylibReachesEverythingIfThatIsAsked() {
  codeslab::Options Chosen;
  Chosen.Domains = true;
  auto JIT = jit(Chosen);
  std::vector<uint64_t> Addresses;
  for (int Library = 0; Library < 3; ++Library) {
    auto &JD = cantFail(JIT->createJITDylib("library" + std::to_string(Library)));
    Addresses.clear();
    for (int Part = 0; Part < 10; ++Part) {
      std::string Name = "f" + std::to_string(Part);
      cantFail(JIT->addIRModule(JD, module(counter(Name, Part ? "f" + std::to_string(Part - 1) : ""))));
      auto At = cantFail(JIT->lookup(JD, Name));
      EXPECT(At.toPtr<int (*)()>()() == 42 * (Part + 1));
      Addresses.push_back(At.getValue());
    }
    for (uint64_t One : Addresses)
      for (uint64_t Other : Addresses)
        EXPECT(One - Other + (1ull << 31) < 1ull << 32);
    if (Library)
      cantFail(JIT->getExecutionSession().removeJITDylib(JD));
  }
}

static const char *ObjectPath, *LowPath;

static void objectsWithExceptionsAreLinked() {
  auto JIT = jit();
  auto Object = MemoryBuffer::getFile(ObjectPath);
  EXPECT(bool(Object));
  cantFail(JIT->addObjectFile(std::move(*Object)));
  auto Thrown = cantFail(JIT->lookup("catches")).toPtr<int (*)(int)>();
  EXPECT(Thrown(7) == 107 && Thrown(-1) == -1);
  // stderr by a displacement of 32 bits: in code that is not for shared libraries.
  EXPECT(cantFail(JIT->lookup("has_stderr")).toPtr<int (*)()>()() == 1);
}

static void codeWithAddressesOf32BitsGoesBelow2GiB() {
  auto JIT = jit();
  cantFail(JIT->addObjectFile(cantFail(errorOrToExpected(MemoryBuffer::getFile(LowPath)))));
  auto At = cantFail(JIT->lookup("low"));
  EXPECT(At.getValue() < 1u << 31 && At.toPtr<int (*)()>()() == 6);
}

int main(int Count, char **Arguments) {
  EXPECT(Count == 3);
  ObjectPath = Arguments[1], LowPath = Arguments[2];
  InitializeNativeTarget();
  InitializeNativeTargetAsmPrinter();
  run("segments go where their protection is", segmentsGoWhereTheirProtectionIs);
  run("zero fill of code and constants is zero", zeroFillOfCodeAndConstantsIsZero);
  run("what is needed for finalization goes after the actions", whatIsNeededForFinalizationGoesAfterTheActions);
  run("segments without a graph may be needed for finalization too", segmentsWithoutAGraphMayBeNeededForFinalizationToo);
  run("a graph may be needed for finalization only", onlyNeededForFinalizationIsAnAllocationToo);
  run("what is not allocated is left alone", whatIsNotAllocatedIsLeftAlone);
  run("graphs of nothing take nothing", graphsOfNothingTakeNothing);
  run("actions that fail are undone, the last first", actionsThatFailAreUndoneLastFirst);
  run("many are deallocated at once, the last first", manyAreDeallocatedAtOnceTheLastFirst);
  run("what is abandoned or dropped is given back", abandonedIsGivenBack);
  run("what cannot be had is an error with its name", whatCannotBeHadIsAnErrorWithItsName);
  run("what cannot be near everything goes anywhere", whatCannotBeNearEverythingGoesAnywhere);
  run("every step may happen in another thread", everyStepMayHappenInAnotherThread);
  run("allocations outlive the manager", allocationsOutliveTheManager);
  run("four threads link in one memory", threadsLinkInOneMemory);
  run("intermediate code is compiled, called and removed", intermediateCodeIsCompiledAndCalled);
  run("everything of a JITDylib reaches everything, if that is asked", everythingOfAJitDylibReachesEverythingIfThatIsAsked);
  run("objects with exceptions and short references are linked", objectsWithExceptionsAreLinked);
  run("code with addresses of 32 bits goes below 2 GiB", codeWithAddressesOf32BitsGoesBelow2GiB);
  return finish();
}
